// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"testing"

	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/trust"
)

// A root is replaced while messages go both ways and one of the relays is killed in
// each step. Bravo's configuration stays as it was, with the old root.
func TestARootIsReplacedThroughKillsOfEitherRelay(t *testing.T) {
	alfa, bravo := pair(t)
	alfa.says(t, "an offer", func(*report.Offer) bool { return true })
	next := testca.New(t, alfa.ca.TrustDomain)
	both, after := hashes(alfa.ca, next), hashes(next)
	sent := 0
	exchange := func() {
		t.Helper()
		for _, n := range []*nation{alfa, bravo} {
			other := map[*nation]string{alfa: "bravo", bravo: "alfa"}[n]
			eventually(t, n.name+" takes a message", func() bool {
				status, _, err := n.send(t.Context(), t, desk.SendRequest{
					ID: fmt.Sprintf("01HZZZZZZZZZZZZZZZZZZZZ%03d", sent), Hotline: other, Subject: "s", Text: "t", Officer: "o", Precedence: "FLASH",
				})
				return err == nil && (status == http.StatusCreated || status == http.StatusOK)
			})
		}
		sent++
	}
	steps := []struct {
		name  string
		step  func()
		kills *nation
		done  func(*report.Offer) bool
	}{
		{"distribute", func() {
			alfa.cfg.Identity.Bundle = alfa.ca.Bundle() + next.Bundle()
			alfa.write(t)
		}, bravo, func(o *report.Offer) bool { return slices.Equal(o.AcceptedRoots, both) }},
		{"issue", func() {
			for _, path := range []string{"/signing", "/relay"} {
				p := next.Leaf(t, testca.Leaf{Path: path})
				p.CAPEM = []byte(alfa.cfg.Identity.Bundle)
				p.WriteTo(t, filepath.Join(alfa.dir, "tls", path))
			}
		}, alfa, func(o *report.Offer) bool { return o.SeenRoot == cabundle.Hash(next.Root) }},
		{"retire", func() {
			alfa.cfg.Identity.Bundle = next.Bundle()
			alfa.write(t)
		}, bravo, func(o *report.Offer) bool { return slices.Equal(o.AcceptedRoots, after) }},
	}
	for _, s := range steps {
		exchange()
		s.step()
		exchange()
		s.kills.kill(t)
		s.kills.launch(t)
		exchange()
		alfa.says(t, s.name, s.done)
	}
	alfa.connected(t)
	for _, n := range []*nation{alfa, bravo} {
		eventually(t, n.name+" has every message", func() bool {
			got, err := n.messages(t, "in")
			return err == nil && len(got) == sent
		})
	}
	bravo.learned(t, alfa.ca.TrustDomain, 2)
}

// says waits until the offer of the only peer, as our report has it, says something.
func (n *nation) says(t *testing.T, what string, says func(*report.Offer) bool) {
	t.Helper()
	n.until(t, "the peer's offer: "+what, func(r report.Report) bool {
		return len(r.Peers) == 1 && r.Peers[0].Offer != nil && says(r.Peers[0].Offer)
	})
}

// learned wants that the record of trust is whole, and how often a peer's bundle
// changed by its offers.
func (n *nation) learned(t *testing.T, trustDomain string, times int) {
	t.Helper()
	status, data, err := n.call(t.Context(), t, http.MethodGet, desk.PathTrust+"?subject="+trustDomain, "", nil)
	if err != nil || status != http.StatusOK {
		t.Fatalf("%d %s, %v", status, data, err)
	}
	var page trust.Page
	if err := json.Unmarshal(data, &page); err != nil {
		t.Fatal(err)
	}
	got := 0
	for _, r := range page.Records {
		if r.What == trust.BundleLearned {
			got++
		}
	}
	if got != times || page.Damaged != nil {
		t.Errorf("learned %d times, want %d: %s", got, times, data)
	}
}

func hashes(cas ...*testca.CA) []string {
	var certs []*x509.Certificate
	for _, ca := range cas {
		certs = append(certs, ca.Root)
	}
	return cabundle.Hashes(certs)
}
