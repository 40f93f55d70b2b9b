// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
)

// long is an indicator of which a page holds but nine.
func long(n int) string {
	return strings.Replace(indicator(n, greenID), `"name"`, `"description":"`+strings.Repeat("x", 900_000)+`","name"`, 1)
}

// TestAFullImportStillLetsGoOfWhatIsTakenBack: revocations and withdrawals stand behind
// what there is no room for.
func TestAFullImportStillLetsGoOfWhatIsTakenBack(t *testing.T) {
	alfa := side(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport)
	alfa.asking.Store(&access.Peer{Name: "bravo", TrustDomain: bravoTD, State: config.Active, Relay: true})
	alfa.Apply(alfaConfig())
	for first := 0; first < 24; first += 6 {
		push(t, alfa, "own", envelope(long(first), long(first+1), long(first+2), long(first+3), long(first+4), long(first+5)))
	}
	eventually(t, "alfa has decided", func() bool { e := exportOf(t, alfa); return e.Stored == 24 && e.Undecided == 0 })
	revoked := strings.NewReplacer(`"modified":"2026-01-01`, `"modified":"2026-01-02`, `"name"`, `"revoked":true,"name"`).Replace(indicator(1, greenID))
	unknown := strings.Replace(indicator(99, greenID), `"name"`, `"revoked":true,"name"`, 1)
	push(t, alfa, "own", envelope(revoked, unknown))
	eventually(t, "alfa has decided about what is revoked", func() bool { e := exportOf(t, alfa); return e.Stored == 26 && e.Undecided == 0 })

	var late atomic.Int64
	plain := func(s Store) Store { return s }
	bravo := sideAs(t, filepath.Join(t.TempDir(), "bravo.db"), to(alfa), plain, nil, func(c *Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
	})
	c := bravoConfig()
	c.Imports[0].MaxObjects = 10
	bravo.Apply(c)
	eventually(t, "bravo is full", func() bool { return importOf(t, bravo).QuotaReached })
	got := collected(t, bravo, "from-alfa")
	if !slices.Contains(got, revoked) || slices.Contains(got, unknown) || len(got) != 10 || importOf(t, bravo).Stored != 11 {
		t.Errorf("%d objects; revoked %t, one that was never there %t", len(got), slices.Contains(got, revoked), slices.Contains(got, unknown))
	}

	if resp := local(t, alfa, http.MethodDelete, "/taxii2/local/collections/threats.own/objects/"+indicatorID(2)+"/", http.NoBody); resp.StatusCode != http.StatusOK {
		t.Fatalf("deleting = %d", resp.StatusCode)
	}
	late.Store(int64(2 * skimEvery))
	eventually(t, "bravo has let go of it", func() bool {
		return importOf(t, bravo).Withdrawn == 1 && !slices.Contains(collected(t, bravo, "from-alfa"), long(2))
	})
}
