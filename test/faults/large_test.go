// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

// many is the size of a first import.
const many = 200_000

// indicatorOf is an indicator of the usual size, about 1.1 kB.
func indicatorOf(i int) string {
	digest := sha256.Sum256(fmt.Appendf(nil, "%d", i))
	text := ""
	for range 8 {
		text += fmt.Sprintf("%x ", digest)
	}
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--%08x-0000-4000-8000-%012d","created":"2026-01-01T00:00:00.000Z",`+
		`"modified":"2026-01-01T00:00:00.000Z","pattern":"[file:hashes.'SHA-256' = '%x']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z","description":%q}`,
		digest[:4], i, digest, text)
}

// TestALargeImportLosesAndDoublesNothing imports 200,000 objects while the importing
// relay is killed, the exporting one is killed and the link is cut, each three times.
// In the end both sides hold each object once, byte for byte.
func TestALargeImportLosesAndDoublesNothing(t *testing.T) {
	alfa, bravo := newNation(t, "alfa"), newNation(t, "bravo")
	toAlfa, toBravo := newCable(t, alfa.cfg.Listen.Link), newCable(t, bravo.cfg.Listen.Link)
	alfa.join(bravo)
	bravo.join(alfa)
	alfa.cfg.Peers[0].Endpoints = []config.Endpoint{{Address: toBravo.address}}
	bravo.cfg.Peers[0].Endpoints = []config.Endpoint{{Address: toAlfa.address}}
	alfa.start(t)
	begun := time.Now()
	const each = 5_000
	for from := 0; from < many; from += each {
		alfa.pushLarge(t, "bravo", from, each)
	}
	t.Logf("pushed after %s", time.Since(begun).Round(time.Millisecond))
	alfa.within(t, 2*time.Minute, "has decided", func(r report.Report) bool {
		return len(r.Exports) == 1 && r.Exports[0].Stored == many && r.Exports[0].Undecided == 0
	})
	t.Logf("decided after %s", time.Since(begun).Round(time.Millisecond))
	bravo.start(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	early := 0
	for i := range 9 {
		wait(t, time.Duration(200+random.IntN(500))*time.Millisecond)
		switch i % 3 {
		case 0:
			bravo.kill(t)
			wait(t, time.Duration(random.IntN(150))*time.Millisecond)
			bravo.start(t)
			if bravo.imported(t) < many {
				early++
			}
		case 1:
			alfa.kill(t)
			wait(t, time.Duration(random.IntN(150))*time.Millisecond)
			alfa.start(t)
		case 2:
			toAlfa.sever()
			toBravo.sever()
			wait(t, time.Duration(random.IntN(1_000))*time.Millisecond)
			toAlfa.mend()
			toBravo.mend()
		}
		t.Logf("fault %d after %s", i+1, time.Since(begun).Round(time.Millisecond))
	}
	if early == 0 {
		t.Error("the import had ended before the first fault: nothing was shown")
	}
	bravo.within(t, 2*time.Minute, "has everything", func(r report.Report) bool {
		return len(r.Imports) == 1 && r.Imports[0].Stored == many && r.Imports[0].Error == ""
	})
	t.Logf("imported after %s", time.Since(begun).Round(time.Millisecond))
	want := map[[32]byte]int{}
	for i := range many {
		want[sha256.Sum256([]byte(indicatorOf(i)))]++
	}
	for name, n := range map[string]*nation{"to-bravo.public": alfa, "from-alfa": bravo} {
		got, err := n.digests(t, name)
		if err != nil || !maps.Equal(want, got) {
			t.Errorf("%s of %s holds %d different objects that are not the %d pushed, %v", name, n.name, len(got), many, err)
		}
	}
	t.Logf("compared after %s", time.Since(begun).Round(time.Millisecond))
}

// pushLarge pushes objects and waits until they are stored.
func (n *nation) pushLarge(t *testing.T, peer string, from, count int) {
	t.Helper()
	objects := make([]string, count)
	for i := range objects {
		objects[i] = indicatorOf(from + i)
	}
	status, data, err := n.push(t, peer, objects...)
	var s struct {
		ID           string `json:"id"`
		Status       string `json:"status"`
		SuccessCount int    `json:"success_count"`
	}
	if err != nil || status != http.StatusAccepted || json.Unmarshal(data, &s) != nil {
		t.Fatalf("pushing from %d: %d %.300s %v", from, status, data, err)
	}
	eventually(t, "what was pushed is stored", func() bool {
		if s.Status != "complete" {
			_, data, err := n.call(t.Context(), t, http.MethodGet, "/taxii2/local/status/"+s.ID+"/", "", nil)
			if err != nil || json.Unmarshal(data, &s) != nil {
				return false
			}
		}
		return s.Status == "complete"
	})
	if s.SuccessCount != count {
		t.Fatalf("%d of %d objects were stored", s.SuccessCount, count)
	}
}

// within is until with more patience.
func (n *nation) within(t *testing.T, patience time.Duration, what string, condition func(report.Report) bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last report.Report
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if last, err = n.report(t); err == nil && condition(last) {
			return
		}
	}
	text, _ := json.Marshal(last)
	t.Fatalf("not within %s: %s %s; %s, %v", patience, n.name, what, text, err)
}

// imported is how many objects the nation's only import holds, as soon as it says so.
func (n *nation) imported(t *testing.T) (stored int64) {
	t.Helper()
	n.until(t, "says what it holds", func(r report.Report) bool {
		if len(r.Imports) == 1 {
			stored = r.Imports[0].Stored
		}
		return len(r.Imports) == 1
	})
	return stored
}

// digests reads a collection of the local port to its end, and counts its objects by
// the digest of their bytes.
func (n *nation) digests(t *testing.T, alias string) (map[[32]byte]int, error) {
	t.Helper()
	found, next := map[[32]byte]int{}, ""
	for {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		status, data, err := n.call(ctx, t, http.MethodGet, "/taxii2/local/collections/"+alias+"/objects/?match[version]=all&limit=5000"+next, "", nil)
		cancel()
		if err != nil || status != http.StatusOK {
			return nil, fmt.Errorf("reading %s: status %d: %.300s, %w", alias, status, data, err)
		}
		var page struct {
			More    bool              `json:"more"`
			Next    string            `json:"next"`
			Objects []json.RawMessage `json:"objects"`
		}
		if err := json.Unmarshal(data, &page); err != nil {
			return nil, err
		}
		for _, o := range page.Objects {
			found[sha256.Sum256(o)]++
		}
		if !page.More {
			return found, nil
		}
		next = "&next=" + page.Next
	}
}
