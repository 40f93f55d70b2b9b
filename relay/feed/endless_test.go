// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/taxii"
)

// TestTheSameObjectsWithoutEndAreGivenUp: each page has a cursor of its own and the same objects. What such a server
// costs is one walk, and then a page for each pull.
func TestTheSameObjectsWithoutEndAreGivenUp(t *testing.T) {
	var list []string
	for n := range 5000 {
		list = append(list, indicator(n))
	}
	all := strings.Join(list, ",")
	var pages atomic.Int64
	bravo := side(t, filepath.Join(t.TempDir(), "bravo.db"), scripted(t, func(w http.ResponseWriter, _ *http.Request) {
		page(w, "", fmt.Sprintf(`{"more":true,"next":"n%d","objects":[%s]}`, pages.Add(1), all))
	}))
	conf := bravoConfig()
	conf.Imports[0].IntervalSeconds = 3600
	bravo.Apply(conf)
	patiently(t, "it is given up", func() bool { return strings.Contains(importOf(t, bravo).Error, "again and again") })
	if got := importOf(t, bravo); got.Stored != 5000 || got.Refused != 0 {
		t.Errorf("import = %+v", got)
	}
	// Each pull that follows reads one page, whose cursor is stored.
	before := pages.Load()
	if most := int64((2*5000+spareDuplicates)/5000 + 3); before > most {
		t.Errorf("%d pages were read, want %d at most", before, most)
	}
	walk := &bravo.importers()[0].walk
	bravo.end()
	if walk.again <= 2*5000+spareDuplicates {
		t.Errorf("%d objects were here already", walk.again)
	}
}

// TestAWalkThatBeginsAnewBringsEverythingOnceMore: that is no walk without end.
func TestAWalkThatBeginsAnewBringsEverythingOnceMore(t *testing.T) {
	w, in := walk{}, &intake{puller: &puller{}}
	in.now.Stored = 1_000_000
	for _, c := range []struct {
		again int64
		ends  bool
	}{{0, false}, {1_000_000, false}, {2_000_000 + spareDuplicates, false}, {2_000_001 + spareDuplicates, true}} {
		if w.again = c.again; (w.repeats(in, 1) != nil) != c.ends {
			t.Errorf("after %d objects that were here already: %v", c.again, w.repeats(in, 1))
		}
		if err := w.repeats(in, 0); err != nil {
			t.Errorf("after %d objects that were here already, a page of new ones: %v", c.again, err)
		}
	}
}

// TestObjectsOfAMebibyteEachCostNoMemory: a page has as many as there is room for.
func TestObjectsOfAMebibyteEachCostNoMemory(t *testing.T) {
	const objects = 96
	text := strings.Repeat("x", 64<<10)
	bravo := side(t, filepath.Join(t.TempDir(), "bravo.db"), hostile(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", taxii.MediaType)
		_, _ = io.WriteString(w, firstObj)
		for n := range objects {
			if n > 0 {
				_, _ = io.WriteString(w, ",")
			}
			_, _ = io.WriteString(w, strings.TrimSuffix(indicator(n), "}")+`,"description":"`)
			for range 15 {
				_, _ = io.WriteString(w, text)
			}
			_, _ = io.WriteString(w, `"}`)
		}
		_, _ = io.WriteString(w, goodEnd)
	}))
	stop := heap()
	conf := bravoConfig()
	conf.Imports[0].IntervalSeconds = 3600
	bravo.Apply(conf)
	patiently(t, "the first pull ends", func() bool { i := importOf(t, bravo); return !i.LastSuccess.IsZero() || !i.Failing.IsZero() })
	got := importOf(t, bravo)
	bravo.end()
	if growth := stop(); growth > 2*flat {
		t.Errorf("the heap grew by %d MiB", growth>>20)
	}
	if got.Stored != objects || got.Refused != 0 || got.Error != "" {
		t.Errorf("import = %+v", got)
	}
}

// TestMoreThanAQuarantineHoldsIsCountedAndHoldsUpNothing: all of it is said to come from another peer.
func TestMoreThanAQuarantineHoldsIsCountedAndHoldsUpNothing(t *testing.T) {
	const beyond = 500
	var list []string
	for n := range store.MaxQuarantined + beyond {
		list = append(list, by(n, `"created_by_ref":"`+charlieSelf+`"`))
	}
	good := indicator(store.MaxQuarantined + beyond)
	half := len(list) / 2
	bravo := side(t, filepath.Join(t.TempDir(), "bravo.db"), scripted(t, given(strings.Join(list[:half], ","), strings.Join(list[half:], ","), good)))
	conf := bound()
	conf.Imports[0].IntervalSeconds = 3600
	bravo.Apply(conf)
	patiently(t, "the pull ends", func() bool { return !importOf(t, bravo).LastSuccess.IsZero() })
	got := importOf(t, bravo)
	if got.Stored != 1 || got.Quarantined != store.MaxQuarantined || got.QuarantineOverflow != beyond || got.Error != "" || got.Refused != 0 {
		t.Errorf("import = %+v", got)
	}
	if all := everything(t, bravo); len(all) != 1 || all[0] != good {
		t.Errorf("%d objects are stored", len(all))
	}
}

// TestABundleOfSTIX20IsTakenAsSuch: its objects do not say which version they are of.
func TestABundleOfSTIX20IsTakenAsSuch(t *testing.T) {
	const old = `{"type":"indicator","id":"indicator--00000000-0000-4000-8000-000000000020","created":"2017-01-01T00:00:00.000Z","modified":"2017-01-01T00:00:00.000Z",` +
		`"labels":["malicious-activity"],"pattern":"[domain-name:value = 'a.example']","valid_from":"2017-01-01T00:00:00Z","object_marking_refs":["` + clearID + `"]}`
	server := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"type":"bundle","id":"bundle--00000000-0000-4000-8000-000000000001","spec_version":"2.0","objects":[`+old+`]}`)
	})
	alfa := asked(t, plainStore)
	conf := alfaConfig()
	conf.Exports[0].Sources[0].Pull = &config.PulledSource{STIX: &config.Remote{URL: server.URL}}
	alfa.Apply(conf)
	decided(t, alfa, 1)
	found, err := alfa.store.ListObjects(t.Context(), sourceName("threats", "attack"), store.Query{Limit: 10})
	if err != nil || len(found.Records) != 1 || found.Records[0].SpecVersion != stix.Spec20 || string(found.Records[0].Raw) != old {
		t.Fatalf("%+v, %v", found.Records, err)
	}
	for query, want := range map[string]bool{"": true, "?match[spec_version]=2.0": true, "?match[spec_version]=2.1": false} {
		if status, body := peerAsks(t, alfa, http.MethodGet, "objects/"+query); status != http.StatusOK || strings.Contains(body, old) != want {
			t.Errorf("%q: %d %s", query, status, body)
		}
	}
}
