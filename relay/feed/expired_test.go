// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/store"
)

// forgetful is a store whose exporter does not come to what has lapsed.
type forgetful struct {
	Store
	armed atomic.Bool
}

func (f *forgetful) Lapsed(ctx context.Context, v store.View, collections []string, now time.Time, limit int) ([]store.Record, error) {
	if f.armed.Load() {
		return nil, nil
	}
	return f.Store.Lapsed(ctx, v, collections, now, limit)
}

// TestWhatIsTooOldIsNotShownThoughItIsDecidedLater: after a restart, or behind much work,
// the decision that it is too old comes late. Its end does not.
func TestWhatIsTooOldIsNotShownThoughItIsDecidedLater(t *testing.T) {
	var late atomic.Int64
	f := &forgetful{}
	begun := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	alfa := sideAs(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport, func(s Store) Store { f.Store = s; return f }, nil, func(c *Config) {
		c.Now = func() time.Time { return begun.Add(time.Duration(late.Load())) }
	})
	peer := access.Peer{Name: "bravo", TrustDomain: bravoTD, State: config.Active, Relay: true}
	c := alfaConfig()
	c.Exports[0].Rule.MaxAgeDays = 2
	alfa.Apply(c)
	push(t, alfa, "own", envelope(indicator(1, greenID)))
	eventually(t, "it is shared", func() bool { return whyOf(t, alfa, indicator(1)).Outcome == desk.Shared })
	shown := func() int {
		page, err := linkBackend{alfa.Engine}.Objects(access.WithPeer(t.Context(), peer), "threats", store.Query{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		return len(page.Records)
	}
	if n := shown(); n != 1 {
		t.Errorf("%d objects are shown in time", n)
	}
	f.armed.Store(true)
	late.Store(int64(49 * time.Hour))
	if n := shown(); n != 0 {
		t.Errorf("%d objects are shown that are too old", n)
	}
}
