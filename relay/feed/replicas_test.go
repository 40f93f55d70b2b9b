// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/internal/teststore"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/lease"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/sqlite"
)

// replica is one of several engines on one database.
type replica struct {
	*nation
	decisions atomic.Int64
	// before comes before decisions are stored.
	before atomic.Pointer[func()]
}

// replicas are two of one nation. The first has the lease of decisions.
func replicas(t *testing.T) (first, second *replica) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shared.db")
	teststore.Put(t, path)
	shared, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shared.Close(); err != nil {
			t.Error(err)
		}
	})
	begin := func() *replica {
		r := &replica{}
		count := func(Store) Store {
			return &hooked{Store: shared, decide: func() error {
				r.decisions.Add(1)
				if before := r.before.Load(); before != nil {
					(*before)()
				}
				return nil
			}}
		}
		sharer, err := lease.New(lease.Config{Store: shared, Time: 300 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		unused := filepath.Join(t.TempDir(), "unused.db")
		r.nation = sideAs(t, unused, http.DefaultTransport, count, nil, func(c *Config) { c.Lead = sharer.Do })
		return r
	}
	first = begin()
	eventually(t, "the first replica leads", first.leads)
	return first, begin()
}

func (r *replica) leads() bool {
	r.exporter.busy.Lock()
	defer r.exporter.busy.Unlock()
	return r.exporter.leading != nil
}

// looks waits until the replica has looked at its exports again.
func (r *replica) looks(t *testing.T) {
	t.Helper()
	for range 2 { // the second look has begun after the call
		r.Stored()
		eventually(t, "the replica has looked", func() bool { return !r.exporter.heard.Load() })
	}
}

func settled(shared, held int64) func(report.Export) bool {
	return func(e report.Export) bool {
		if e.Undecided != 0 || len(e.Peers) != 1 || e.Peers[0].Shared != shared {
			return false
		}
		var sum int64
		for _, h := range e.Peers[0].Held {
			sum += h.Objects
		}
		return sum == held
	}
}

func TestOneReplicaDecidesAndAllReportIt(t *testing.T) {
	first, second := replicas(t)
	first.Apply(alfaConfig())
	second.Apply(alfaConfig())
	push(t, second.nation, "own", envelope(indicator(1, clearID), indicator(2, greenID), indicator(3, redID)))
	first.Stored()
	eventually(t, "it is decided", func() bool { return settled(2, 1)(exportOf(t, first.nation)) })
	eventually(t, "the other replica reports the same", func() bool { return cmp.Equal(exportOf(t, first.nation), exportOf(t, second.nation)) })
	if n := second.decisions.Load(); n != 0 {
		t.Errorf("the replica without the lease has decided %d times", n)
	}
	first.end()
	push(t, second.nation, "own", envelope(indicator(4, clearID)))
	eventually(t, "the other replica decides when the first is gone", func() bool { return settled(3, 1)(exportOf(t, second.nation)) })
}

// TestReplicasOfDifferentMindsDoNotDecideAgainstEachOther: their data or configurations
// are of different ages.
func TestReplicasOfDifferentMindsDoNotDecideAgainstEachOther(t *testing.T) {
	first, second := replicas(t)
	minded := func(network string) *config.Config {
		c := alfaConfig()
		c.Exports[0].Rule.EmanatesFrom = config.FromPeer
		c.Peers[0].Territory.Networks = []string{network}
		return c
	}
	first.Apply(minded("192.0.2.0/24"))
	second.Apply(minded("198.51.100.0/24"))
	push(t, first.nation, "own", envelope(strings.Replace(indicator(1, greenID), `"name"`, `"pattern":"[ipv4-addr:value = '192.0.2.7']","pattern_type":"stix","name"`, 1)))
	eventually(t, "it is decided", func() bool { return settled(1, 0)(exportOf(t, first.nation)) })
	before := first.decisions.Load()
	for range 5 {
		second.looks(t)
		first.looks(t)
	}
	if n := second.decisions.Load(); n != 0 {
		t.Errorf("the replica without the lease has decided %d times", n)
	}
	if n := first.decisions.Load() - before; n != 0 {
		t.Errorf("the replica with the lease has decided %d times again", n)
	}
	if e := exportOf(t, second.nation); e.Undecided != 1 {
		t.Errorf("the other replica shows nothing to the peer, and reports %+v", e)
	}
}

// TestWhatAnotherReplicaDeletesWhileThisOneDecidesBindsNothing: the replica that deletes does not
// know what is being decided, and that one does not know of the deletion.
func TestWhatAnotherReplicaDeletesWhileThisOneDecidesBindsNothing(t *testing.T) {
	first, second := replicas(t)
	first.Apply(alfaConfig())
	second.Apply(alfaConfig())
	var deleted atomic.Bool
	// Whoever has the lease decides: on a busy machine that may be the second by then.
	meddle := func(other *replica) *func() {
		f := func() {
			if !deleted.Swap(true) {
				if _, err := other.deleteFrom(context.WithoutCancel(t.Context()), sourceName("threats", "own"), store.Query{IDs: []string{indicatorID(1)}}); err != nil {
					t.Error(err)
				}
			}
		}
		return &f
	}
	// The secret one is decided before the report is there; what is decided then is the report alone.
	push(t, first.nation, "own", envelope(indicator(1, redID)))
	eventually(t, "the secret one is held", func() bool { return settled(0, 1)(exportOf(t, first.nation)) })
	first.before.Store(meddle(second))
	second.before.Store(meddle(first))
	report := `{"type":"report","spec_version":"2.1","id":"report--00000000-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z",` +
		`"name":"x","published":"2026-01-01T00:00:00Z","object_refs":["` + indicatorID(1) + `"],"object_marking_refs":["` + greenID + `"]}`
	push(t, first.nation, "own", envelope(report))
	eventually(t, "the report is shared, as nothing binds it any more", func() bool { return deleted.Load() && settled(1, 0)(exportOf(t, first.nation)) })
}

func TestADefinitionDeletedAtAnotherReplicaIsUnlearned(t *testing.T) {
	const plain = "marking-definition--00000000-0000-4000-8000-000000000077"
	first, second := replicas(t)
	first.Apply(alfaConfig())
	second.Apply(alfaConfig())
	push(t, second.nation, "own", envelope(indicator(1, clearID, plain),
		`{"type":"marking-definition","spec_version":"2.1","id":"`+plain+`","created":"2026-01-01T00:00:00.000Z","definition_type":"statement","definition":{"statement":"ours"},"object_marking_refs":["`+clearID+`"]}`))
	for _, r := range []*replica{first, second} {
		r.Stored()
	}
	eventually(t, "both are shared", func() bool { return settled(2, 0)(exportOf(t, first.nation)) })
	eventually(t, "the other replica reports so", func() bool { return settled(2, 0)(exportOf(t, second.nation)) })
	if _, err := second.deleteFrom(context.WithoutCancel(t.Context()), sourceName("threats", "own"), store.Query{IDs: []string{plain}}); err != nil {
		t.Fatal(err)
	}
	first.Stored()
	eventually(t, "what it marked is held", func() bool { return settled(0, 1)(exportOf(t, first.nation)) })
	eventually(t, "the other replica reports so", func() bool { return settled(0, 1)(exportOf(t, second.nation)) })
}
