// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// uncounting is a store that cannot count deletions for some time.
type uncounting struct {
	Store
	fails atomic.Int64
}

func (u *uncounting) Deletions(ctx context.Context, collections ...string) (int64, error) {
	if u.fails.Add(-1) >= 0 {
		return 0, errInterrupted
	}
	return u.Store.Deletions(ctx, collections...)
}

// TestWhatIsHeldForAContainerThatGoesMeanwhileIsSharedThoughTheStoreFails: the container is deleted
// between the look at it and the decision, and then nobody can count deletions for a while.
func TestWhatIsHeldForAContainerThatGoesMeanwhileIsSharedThoughTheStoreFails(t *testing.T) {
	u, m := &uncounting{}, &meddled{shared: map[int64]bool{}}
	report := redReport("01", indicatorID(1))
	var once sync.Once
	var alfa *nation
	var deleted atomic.Bool
	m.beforeDecide = func(decisions []store.Decision) {
		if slices.ContainsFunc(decisions, func(d store.Decision) bool { return d.Reason == "ContainerAboveCeiling: RED" }) {
			once.Do(func() {
				if _, err := (localBackend{alfa.Engine}).Delete(t.Context(), "threats.attack", store.Query{IDs: []string{mustParse(t, report).ID}}); err != nil {
					t.Error(err)
				}
				deleted.Store(true)
				u.fails.Store(3)
			})
		}
	}
	alfa = sideOn(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport, func(s Store) Store { m.Store, u.Store = s, m; return u })
	alfa.Apply(alfaConfig())
	for _, raw := range []string{report, indicator(1)} {
		if _, err := alfa.store.PutObjects(t.Context(), sourceName("threats", "attack"), records([]stix.Object{mustParse(t, raw)}), ""); err != nil {
			t.Fatal(err)
		}
		alfa.Stored()
		eventually(t, "it is decided", func() bool { return whyOf(t, alfa, raw).Outcome != desk.Undecided || deleted.Load() })
	}
	eventually(t, "it is shared, as nothing holds it any more", func() bool {
		alfa.Stored() // else the exporter rests after each failure, longer each time
		return whyOf(t, alfa, indicator(1)).Outcome == desk.Shared
	})
}
