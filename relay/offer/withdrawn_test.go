// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package offer_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

// A person means for good: the peer goes on to offer a root that was taken out of its
// card, every 30 seconds, and it must not come back by that.
func TestARootThatAPersonTookOutStaysOutThoughThePeerOffersIt(t *testing.T) {
	alfa, bravo := newWorld(t)
	next := testca.New(t, alfa.td)
	alfa.distribute(next)
	bravo.trusts("both", alfa.ca, next)
	bravo.apply(func(c *config.Config) { c.Peers[0].Bundle = bundle(alfa.ca, next) })
	bravo.apply(func(c *config.Config) { c.Peers[0].Bundle = bundle(alfa.ca) })
	for range 3 {
		alfa.engine().Wake(bravo.td)
		alfa.eventually("bravo accepts the one that is left", func(o *report.Offer) bool { return slices.Equal(o.AcceptedRoots, hashes(alfa.ca)) })
		bravo.trusts("what the person left", alfa.ca)
		bravo.restart()
	}
	bravo.eventually("it is said", func(*report.Offer) bool {
		return strings.Contains(bravo.engine().Trust(alfa.td).Error, "was taken out of our PeerCERT")
	})
	alfa.apply(func(c *config.Config) { c.Identity.Bundle = bundle(alfa.ca) })
	bravo.eventually("nothing is wrong any more", func(*report.Offer) bool { return bravo.engine().Trust(alfa.td).Error == "" })
}
