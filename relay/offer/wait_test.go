// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package offer_test

import (
	"crypto/x509"
	"slices"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

// strimzi#11717: the last phase of a rotation repeated for ever.
func TestASteadyLinkWritesNothing(t *testing.T) {
	alfa, bravo := newWorld(t)
	next := testca.New(t, alfa.td)
	alfa.distribute(next)
	alfa.renew(next)
	alfa.retire(next)
	count := func() (total int64) {
		for _, n := range []*nation{alfa, bravo} {
			page, err := n.parts().keeper.Records(t.Context(), store.TrustQuery{Limit: 1})
			if err != nil {
				t.Fatal(err)
			}
			total += page.Total
		}
		return total
	}
	const before = 5 + 1 + 3 + 1 + 5 + 2 // at alfa: start, root added, leaves, root retired; at bravo: start, two bundles
	alfa.eventually("all is recorded", func(*report.Offer) bool { return count() == before })
	for i := range 4 {
		alfa.engine().Wake(bravo.td)
		bravo.engine().Wake(alfa.td)
		alfa.apply(func(c *config.Config) { c.Hotlines = []config.Hotline{{Name: "red", Peer: "bravo"}}[:i%2] })
		bravo.eventually("an exchange", func(o *report.Offer) bool { return o.Hotline == (i%2 == 1) })
	}
	if after := count(); after != before {
		t.Errorf("%d records became %d", before, after)
	}
}

// eventually waits until a condition holds, and says what is not.
func (n *nation) eventually(what string, ok func(*report.Offer) bool) *report.Offer {
	n.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		o := n.engine().Describe(n.other.td)
		if o != nil && ok(o) {
			return o
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("%s: not within a minute: %s; identity %q, offer %+v, trust %+v", n.name, what, n.source().State().Error, o, n.engine().Trust(n.other.td))
		}
		<-time.After(5 * time.Millisecond)
	}
}

// knows waits until we know which offer the other side makes now.
func (n *nation) knows() *report.Offer {
	n.t.Helper()
	return n.eventually("an offer", func(*report.Offer) bool { return true })
}

// trusts waits until exactly these CAs speak for the other nation.
func (n *nation) trusts(what string, cas ...*testca.CA) {
	n.t.Helper()
	want := hashes(cas...)
	n.eventually(what, func(*report.Offer) bool { return slices.Equal(n.engine().Trust(n.other.td).Roots, want) })
}

func hashes(cas ...*testca.CA) []string {
	var certs []*x509.Certificate
	for _, ca := range cas {
		certs = append(certs, ca.Root)
	}
	return cabundle.Hashes(certs)
}

func bundle(cas ...*testca.CA) string {
	text := ""
	for _, ca := range cas {
		text += ca.Bundle()
	}
	return text
}
