// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/store"
)

// interrupted is a store in which a turn ends in its middle, some times.
type interrupted struct {
	Store
	clears, decides atomic.Int64
}

var errInterrupted = errors.New("the power is gone")

func (i *interrupted) ClearWithdrawals(ctx context.Context, feed, peer string, upTo int64) error {
	if i.clears.Add(-1) >= 0 {
		return errInterrupted
	}
	return i.Store.ClearWithdrawals(ctx, feed, peer, upTo)
}

func (i *interrupted) Decide(ctx context.Context, v store.View, d []store.Decision) error {
	if i.decides.Add(-1) >= 0 {
		return errInterrupted
	}
	return i.Store.Decide(ctx, v, d)
}

// TestAnInterruptedTurnDoublesNothing: what a turn stored before it was interrupted is
// stored again as the same bytes.
func TestAnInterruptedTurnDoublesNothing(t *testing.T) {
	broken := &interrupted{}
	alfa := sideOn(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport, func(s Store) Store { broken.Store = s; return broken })
	alfa.asking.Store(&access.Peer{Name: "bravo", TrustDomain: bravoTD, State: config.Active, Relay: true})
	c := alfaConfig()
	c.Exports[0].Rule.EmanatesFrom = config.FromPeer
	c.Peers[0].Territory.Networks = []string{"192.0.2.0/24"}
	broken.decides.Store(2)
	alfa.Apply(c)
	bravo := side(t, filepath.Join(t.TempDir(), "bravo.db"), to(alfa))
	bravo.Apply(bravoConfig())
	object := strings.Replace(indicator(1, greenID), `"name"`, `"pattern":"[ipv4-addr:value = '192.0.2.7']","pattern_type":"stix","name"`, 1)
	push(t, alfa, "own", envelope(object))
	stored := func(collection, holds string) (n int) {
		page, err := alfa.store.ListObjects(t.Context(), collection, store.Query{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Records {
			if strings.Contains(string(r.Raw), holds) {
				n++
			}
		}
		return n
	}
	eventually(t, "bravo has the object and its note", func() bool {
		all := strings.Join(collected(t, bravo, "from-alfa"), "\n")
		return strings.Contains(all, object) && strings.Contains(all, `"abstract":"Appears to emanate`)
	})
	if n := stored(noteName("threats", bravoTD), `"type":"note"`); n != 1 {
		t.Errorf("%d notes about one object", n)
	}
	broken.clears.Store(2)
	if resp := local(t, alfa, http.MethodDelete, "/taxii2/local/collections/threats.own/objects/"+indicatorID(1)+"/", http.NoBody); resp.StatusCode != http.StatusOK {
		t.Fatalf("deleting = %d", resp.StatusCode)
	}
	eventually(t, "bravo has dropped it", func() bool {
		return !strings.Contains(strings.Join(collected(t, bravo, "from-alfa"), "\n"), `"name":"\u0041 1"`)
	})
	eventually(t, "nothing is left to announce", func() bool {
		left, err := alfa.store.Withdrawals(t.Context(), "threats", bravoTD, 10)
		return err == nil && len(left) == 0
	})
	if n := stored(noticeName("threats", bravoTD), `"id":"`+indicatorID(1)+`"`); n != 1 {
		t.Errorf("%d notices about one object", n)
	}
}
