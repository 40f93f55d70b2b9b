// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/rule"
	"github.com/certlink/certlink/relay/store"
)

// weighed counts the pages of everything that are read with their content.
type weighed struct {
	store.Objects
	pages int
}

func (w *weighed) ListObjects(ctx context.Context, collection string, q store.Query) (store.Page, error) {
	if !q.NoContent && len(q.IDs) == 0 && len(q.Types) == 0 {
		w.pages++
	}
	return w.Objects.ListObjects(ctx, collection, q)
}

// TestNewDefinitionsAreLookedForInAPartOfALargeCollectionAtATime: what marks they have is told when all was looked
// through, and definitions that come meanwhile do not make it begin again.
func TestNewDefinitionsAreLookedForInAPartOfALargeCollectionAtATime(t *testing.T) {
	s := newShop(t)
	s.put(also(indicatorText(1, 1, "[domain-name:value = 'one.example']", rule.Green, "")))
	many := make([]store.Object, scanObjects)
	for part := range remarkPages + 2 {
		for i := range many {
			id := fmt.Sprintf("tool--5c0d1e2f-0000-4000-8000-%012d", part*scanObjects+i)
			many[i] = store.Object{ID: id, Type: "tool", SpecVersion: "2.1", Version: time.Unix(1, 0), Raw: []byte("{}")}
		}
		if _, err := s.store.PutObjects(t.Context(), "import/bravo", many, ""); err != nil {
			t.Fatal(err)
		}
	}
	s.put(also(indicatorText(2, 1, "[domain-name:value = 'two.example']", rule.Green, "")))
	w := &weighed{Objects: s.store}
	c := NewCatalogue(w, "import/bravo", "bravo", func() time.Time { return s.clock })
	look := func() state {
		t.Helper()
		w.pages = 0
		now, err := c.look(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if w.pages > remarkPages {
			t.Errorf("one request reads %d pages", w.pages)
		}
		return now
	}
	look()
	s.clock = s.clock.Add(48 * time.Hour)
	came := uint32(s.clock.Unix())
	s.put(statementText(`"definition_type":"statement","definition":{"statement":"(c) CERT Bravo"}`))
	look()
	other := strings.Replace(statementText(`"definition_type":"statement","definition":{"statement":"(c) CERT Bravo"}`), "0077", "0078", 1)
	s.put(other)
	look()
	first := c.remarked
	if now := look(); now.events[len(now.events)-1].timestamp < came {
		t.Errorf("the event of the day changed at %d, not at %d", now.events[len(now.events)-1].timestamp, came)
	}
	if len(c.fresh.statements) == 1 && c.remarked <= first {
		t.Errorf("it stands at %d, and was at %d", c.remarked, first)
	}
	for range 3 {
		look()
	}
	if len(c.fresh.statements)+len(c.later.statements) > 0 {
		t.Errorf("%d definitions wait", len(c.fresh.statements)+len(c.later.statements))
	}
	if one, two := look(), look(); &one.events[0] != &two.events[0] {
		t.Error("the list is made anew though nothing has changed")
	}
}

// TestWhatIsWithdrawnFromALargeDirectoryIsGoneAtOnceAndTheRestFollows: to read everything anew may have to wait.
func TestWhatIsWithdrawnFromALargeDirectoryIsGoneAtOnceAndTheRestFollows(t *testing.T) {
	s := newShop(t)
	report := reportText(1, 1)
	other := strings.Replace(strings.Replace(reportText(1, 2), "00000000000a", "00000000000b", 1), "Campaign X", "Campaign Y", 1)
	s.put(also(indicatorText(1, 1, "[domain-name:value = 'one.example']", rule.Green, "")), indicatorText(2, 1, "[domain-name:value = 'two.example']", rule.Green, ""), report, also(other),
		statementText(`"definition_type":"statement","definition":{"statement":"(c) CERT Bravo"}`))
	want := map[string][]string{"Campaign X": {"domain=one.example tlp:green"}, "Campaign Y": {"domain=two.example tlp:green"}, "bravo 2026-01-02": {}} // the day has the definition
	if diff := cmp.Diff(want, s.events()); diff != "" {
		t.Fatal(diff)
	}
	c := s.directories["bravo/misp"].catalogue
	c.read.after = time.Now().Add(time.Hour) // as if it had taken minutes
	gone := func(id string) {
		t.Helper()
		if n, err := s.store.DeleteObjects(t.Context(), "import/bravo", store.Query{IDs: []string{id}, Limit: 10}); err != nil || n != 1 {
			t.Fatal(n, err)
		}
	}
	gone("report--5c0d1e2f-0000-4000-8000-00000000000a")
	gone(lateID)
	manifest := s.get("manifest.json")
	if body := manifest.Body.String(); strings.Contains(body, "Campaign X") || !strings.Contains(body, "Campaign Y") || !strings.Contains(body, "tlp:red") {
		t.Errorf("the manifest is %s", body)
	}
	uuid := derive("event", "bravo", "report--5c0d1e2f-0000-4000-8000-00000000000a")
	if w := s.get(uuid + ".json"); w.Code != http.StatusNotFound {
		t.Errorf("the event of what was withdrawn: %d %s", w.Code, w.Body)
	}
	c.read.after = time.Time{}
	want = map[string][]string{"bravo 2026-01-02": {"domain=one.example tlp:red"}, "Campaign Y": {"domain=two.example tlp:green"}}
	if diff := cmp.Diff(want, s.events()); diff != "" {
		t.Error(diff)
	}
	if again := s.get("manifest.json", "If-None-Match", manifest.Header().Get("ETag")); again.Code != http.StatusOK {
		t.Errorf("who has the manifest of before is told %d", again.Code)
	}
}

// failing fails one list of named objects, when it is armed: the one before which so many others were asked for.
type failing struct {
	store.Objects
	armed bool
	left  int
}

func (f *failing) ListObjects(ctx context.Context, collection string, q store.Query) (store.Page, error) {
	if f.armed && len(q.IDs) > 0 {
		if f.left--; f.left < 0 {
			f.armed = false
			return store.Page{}, errors.New("the disk is away")
		}
	}
	return f.Objects.ListObjects(ctx, collection, q)
}

// TestAWithdrawnDefinitionIsNoTagAlsoAfterAnError: whatever was being asked of the store when it failed.
func TestAWithdrawnDefinitionIsNoTagAlsoAfterAnError(t *testing.T) {
	for name, before := range map[string]int{"reports": 0, "definitions": 1, "tags": 2} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			s.put(indicatorText(1, 1, "[domain-name:value = 'one.example']", rule.Green, ""), also(reportText(1, 1)),
				statementText(`"definition_type":"statement","definition":{"statement":"(c) CERT Bravo"}`))
			f := &failing{Objects: s.store}
			c := NewCatalogue(f, "import/bravo", "bravo", func() time.Time { return s.clock.Add(time.Hour) })
			tags := func() string {
				t.Helper()
				now, err := c.look(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range now.events {
					if e.report != "" {
						return fmt.Sprint(e.tags)
					}
				}
				return "no report"
			}
			if got := tags(); strings.Contains(got, "tlp:red") {
				t.Fatalf("before: %s", got)
			}
			c.read.after = time.Now().Add(time.Hour) // as if it had taken minutes
			if n, err := s.store.DeleteObjects(t.Context(), "import/bravo", store.Query{IDs: []string{lateID}, Limit: 10}); err != nil || n != 1 {
				t.Fatal(n, err)
			}
			f.armed, f.left = true, before
			if _, err := c.look(t.Context()); err == nil || f.armed {
				t.Fatalf("nothing failed: %v", err)
			}
			if got := tags(); !strings.Contains(got, "tlp:red") {
				t.Errorf("afterwards: %s", got)
			}
		})
	}
}
