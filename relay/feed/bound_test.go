// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/redact"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// meddled is a store to which somebody does something between two steps of a turn.
type meddled struct {
	Store
	beforeBatch  func()
	beforeDecide func([]store.Decision)

	mu     sync.Mutex // guards what follows
	shared map[int64]bool
	// first is the first batch that was to be decided.
	first []store.Decision
}

func (m *meddled) Undecided(ctx context.Context, v store.View, collections []string, limit int) ([]store.Record, error) {
	if strings.HasPrefix(collections[0], "source/") && m.beforeBatch != nil {
		m.beforeBatch()
	}
	return m.Store.Undecided(ctx, v, collections, limit)
}

func (m *meddled) Decide(ctx context.Context, v store.View, decisions []store.Decision) error {
	if m.beforeDecide != nil {
		m.beforeDecide(decisions)
	}
	m.mu.Lock()
	if m.first == nil {
		m.first = decisions
	}
	for _, d := range decisions {
		m.shared[d.Seq] = m.shared[d.Seq] || d.Share
	}
	m.mu.Unlock()
	return m.Store.Decide(ctx, v, decisions)
}

// wasShared tells whether a record of an object was ever to be shared.
func (m *meddled) wasShared(t *testing.T, collection, id string) bool {
	t.Helper()
	page, err := m.ListObjects(t.Context(), collection, store.Query{IDs: []string{id}, Limit: 10})
	if err != nil || len(page.Records) == 0 {
		t.Fatalf("%d records, %v", len(page.Records), err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.shared[page.Records[0].Seq]
}

func redReport(n string, refs ...string) string {
	return `{"type":"report","spec_version":"2.1","id":"report--00000000-0000-4000-8000-0000000000` + n + `","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z",` +
		`"name":"r","published":"2026-01-01T00:00:00.000Z","object_refs":["` + strings.Join(refs, `","`) + `"],"object_marking_refs":["` + redID + `"]}`
}

// TestWhatComesWithItsContainerIsNeverSharedWithoutIt: a turn looks for containers, then
// reads its batch. What is pushed in between must not be decided without its container.
func TestWhatComesWithItsContainerIsNeverSharedWithoutIt(t *testing.T) {
	m := &meddled{shared: map[int64]bool{}}
	alfa := sideOn(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport, func(s Store) Store { m.Store = s; return m })
	source := sourceName("threats", "attack")
	var once sync.Once
	m.beforeBatch = func() {
		once.Do(func() {
			both := records([]stix.Object{mustParse(t, indicator(1)), mustParse(t, redReport("01", indicatorID(1)))})
			if _, err := m.PutObjects(t.Context(), source, both, ""); err != nil {
				t.Error(err)
			}
		})
	}
	alfa.Apply(alfaConfig())
	eventually(t, "it is held for its container", func() bool {
		got, err := alfa.Why(t.Context(), indicatorID(1), "bravo")
		return err == nil && len(got.Feeds[0].Versions) == 1 && got.Feeds[0].Versions[0].Reason == "ContainerAboveCeiling: RED"
	})
	if m.wasShared(t, source, indicatorID(1)) {
		t.Error("it was shared for a moment, though it came with its container")
	}
}

const waterID = "identity--00000000-0000-4000-8000-000000000009"

func water(name string) string {
	return `{"type":"identity","spec_version":"2.1","id":"` + waterID + `","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"` + name + `","object_marking_refs":["` + clearID + `"]}`
}

func targetsWater() string {
	return `{"type":"relationship","spec_version":"2.1","id":"relationship--00000000-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z",` +
		`"relationship_type":"targets","source_ref":"` + indicatorID(1) + `","target_ref":"` + waterID + `","object_marking_refs":["` + clearID + `"]}`
}

// TestAVictimThatAnotherSourceNamesLaterIsReplaced: who is a victim is asked of all sources.
func TestAVictimThatAnotherSourceNamesLaterIsReplaced(t *testing.T) {
	alfa, bravo := pair(t)
	stripping := alfaConfig()
	stripping.Exports[0].Redaction.VictimIdentities = config.VictimsStrip
	alfa.Apply(stripping)
	push(t, alfa, "own", envelope(water("Alfa Water")))
	eventually(t, "bravo has it", func() bool { return importOf(t, bravo).Stored == 1 })
	push(t, alfa, "attack", envelope(targetsWater()))
	eventually(t, "bravo has it without its name", func() bool {
		all := strings.Join(collected(t, bravo, "from-alfa"), "\n")
		return strings.Contains(all, redact.VictimName) && !strings.Contains(all, "Alfa Water")
	})
}

// TestATranslationDoesNotTellWhatWasLeftOut: the name of a victim, and what is redacted,
// stand in translations, too.
func TestATranslationDoesNotTellWhatWasLeftOut(t *testing.T) {
	alfa, bravo := pair(t)
	c := alfaConfig()
	c.Exports[0].Redaction = config.Redaction{VictimIdentities: config.VictimsStrip, Properties: []string{"description"}}
	alfa.Apply(c)
	translation := func(n, of, contents string) string {
		return `{"type":"language-content","spec_version":"2.1","id":"language-content--00000000-0000-4000-8000-0000000000` + n + `","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z",` +
			`"object_ref":"` + of + `","contents":{"de":` + contents + `},"object_marking_refs":["` + clearID + `"]}`
	}
	ofVictim, ofText, harmless := translation("01", waterID, `{"name":"Alfa Wasser"}`), translation("02", indicatorID(1), `{"descri\u0070tion":"geheim"}`), translation("03", indicatorID(1), `{"name":"A"}`)
	push(t, alfa, "own", envelope(water("Alfa Water"), targetsWater(), ofVictim, ofText, harmless))
	eventually(t, "bravo has the rest", func() bool {
		all := strings.Join(collected(t, bravo, "from-alfa"), "\n")
		return strings.Contains(all, harmless) && strings.Contains(all, redact.VictimName)
	})
	if all := strings.Join(collected(t, bravo, "from-alfa"), "\n"); strings.Contains(all, "Wasser") || strings.Contains(all, "geheim") {
		t.Errorf("a translation tells it: %s", all)
	}
	for _, raw := range []string{ofVictim, ofText} {
		if v := whyOf(t, alfa, raw); v.Outcome != desk.Held || v.Reason != "TranslationOfRedacted" || !strings.Contains(v.Message, "translat") {
			t.Errorf("got %+v", v)
		}
	}
}

// TestRevocationsGoFirstAfterAFailure: a turn that ends before its revocations are decided
// is followed by one that begins with them.
func TestRevocationsGoFirstAfterAFailure(t *testing.T) {
	m := &meddled{shared: map[int64]bool{}}
	broken := &interrupted{Store: m}
	alfa := sideOn(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport, func(s Store) Store { m.Store = s; return broken })
	var objects []stix.Object
	for i := range decideAtOnce {
		objects = append(objects, mustParse(t, indicator(i, greenID)))
	}
	revoked := mustParse(t, strings.Replace(indicator(9999, greenID), `"name"`, `"revoked":true,"name"`, 1))
	if _, err := alfa.store.PutObjects(t.Context(), sourceName("threats", "own"), records(append(objects, revoked)), ""); err != nil {
		t.Fatal(err)
	}
	broken.decides.Store(1)
	alfa.Apply(alfaConfig())
	eventually(t, "all is decided", func() bool { return whyOf(t, alfa, indicator(decideAtOnce-1)).Outcome == desk.Shared })
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.first) != 1 {
		t.Errorf("the first batch that was decided had %d objects, not the one that is revoked", len(m.first))
	}
}

// TestWhatManyContainersNameBindsNothingElse: of an object that too many name, not all of
// them are looked at, and so it is held; others of its batch are not.
func TestWhatManyContainersNameBindsNothingElse(t *testing.T) {
	alfa := sideOn(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport, func(s Store) Store { return s })
	source := sourceName("threats", "attack")
	refs := make([]store.Reference, maxReferences)
	for i := range refs {
		refs[i] = store.Reference{Kind: kindContains, From: fmt.Sprintf("note--00000000-0000-4000-8000-%012d", i), To: indicatorID(1)}
	}
	if err := alfa.store.PutReferences(t.Context(), source, refs); err != nil {
		t.Fatal(err)
	}
	// Any container makes the source one with references.
	all := []stix.Object{mustParse(t, redReport("01", indicatorID(3))), mustParse(t, indicator(1)), mustParse(t, indicator(2))}
	if _, err := alfa.store.PutObjects(t.Context(), source, records(all), ""); err != nil {
		t.Fatal(err)
	}
	alfa.Apply(alfaConfig())
	eventually(t, "both are decided", func() bool {
		return whyOf(t, alfa, indicator(1)).Outcome != desk.Undecided && whyOf(t, alfa, indicator(2)).Outcome != desk.Undecided
	})
	if v := whyOf(t, alfa, indicator(1)); v.Reason != "ContainerAboveCeiling: AMBER+STRICT" {
		t.Errorf("what too many name: %+v", v)
	}
	if v := whyOf(t, alfa, indicator(2)); v.Outcome != desk.Shared {
		t.Errorf("what nothing names: %+v", v)
	}
}
