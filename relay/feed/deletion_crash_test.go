// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// dying is a store of a process that ends at a deletion, before it or after it.
type dying struct {
	Store
	// before is what others do before the deletion.
	before func()
	after  bool
	dead   atomic.Bool
}

func (d *dying) DeleteObjects(ctx context.Context, c string, q store.Query, dependents ...store.Dependents) (n int, err error) {
	d.before()
	if d.after {
		n, err = d.Store.DeleteObjects(ctx, c, q, dependents...)
	}
	d.dead.Store(true)
	return n, errors.Join(err, errInterrupted)
}

func (d *dying) Lapse(ctx context.Context, c string, ids []string) error {
	if d.dead.Load() {
		return errInterrupted
	}
	return d.Store.Lapse(ctx, c, ids)
}

func (d *dying) Decide(ctx context.Context, v store.View, decisions []store.Decision) error {
	if d.dead.Load() {
		return errInterrupted
	}
	return d.Store.Decide(ctx, v, decisions)
}

// TestACrashAtADeletionLeavesNothingHeldByWhatIsGone: what a report holds back is decided until the moment in which
// the report goes, and then the process ends.
func TestACrashAtADeletionLeavesNothingHeldByWhatIsGone(t *testing.T) {
	for name, c := range map[string]struct {
		after bool
		want  desk.Outcome
	}{"right_before_it": {false, desk.Held}, "right_after_it": {true, desk.Shared}} {
		t.Run(name, func(t *testing.T) {
			path, report := filepath.Join(t.TempDir(), "alfa.db"), redReport("01", indicatorID(1))
			d := &dying{after: c.after}
			alfa := sideOn(t, path, http.DefaultTransport, func(s Store) Store { d.Store = s; return d })
			decided := func() {
				eventually(t, "it is decided", func() bool {
					alfa.Stored() // else the exporter looks for it later
					return whyOf(t, alfa, indicator(1)).Outcome != desk.Undecided
				})
			}
			d.before = decided
			alfa.Apply(alfaConfig())
			for _, raw := range []string{report, indicator(1)} {
				if _, err := alfa.store.PutObjects(t.Context(), sourceName("threats", "attack"), records([]stix.Object{mustParse(t, raw)}), ""); err != nil {
					t.Fatal(err)
				}
			}
			decided()
			if v := whyOf(t, alfa, indicator(1)); v.Outcome != desk.Held {
				t.Fatalf("before the deletion it is %+v", v)
			}
			if _, err := (localBackend{alfa.Engine}).Delete(t.Context(), "threats.attack", store.Query{IDs: []string{mustParse(t, report).ID}}); !errors.Is(err, errInterrupted) {
				t.Fatalf("deleting: %v", err)
			}
			alfa.end()
			alfa = side(t, path, http.DefaultTransport)
			alfa.Apply(alfaConfig())
			eventually(t, "it is as it would be without the crash", func() bool {
				alfa.Stored()
				return whyOf(t, alfa, indicator(1)).Outcome == c.want
			})
		})
	}
}
