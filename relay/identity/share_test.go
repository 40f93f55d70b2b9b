// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"bytes"
	"crypto/tls"
	"testing"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
)

// Connections hold on to the chain of the peer and to their configuration.
func TestConnectionsShareWhatTheyHold(t *testing.T) {
	for _, dials := range []bool{true, false} {
		cfg, _ := nation(t)
		r := newRotating(t)
		cfg.Peers = []config.Peer{peer("bravo", r.old.Bundle(), config.Active)}
		s := source(t, cfg, nil)
		leaf, renewed := r.old.Leaf(t, testca.Leaf{Path: "/relay"}), r.old.Leaf(t, testca.Leaf{Path: "/relay"})
		first, second, third := handshake(t, s, leaf, dials), handshake(t, s, leaf, dials), handshake(t, s, renewed, dials)
		for i := range first.PeerCertificates {
			if first.PeerCertificates[i] != second.PeerCertificates[i] {
				t.Errorf("dials %v: certificate %d is there twice", dials, i)
			}
		}
		if !bytes.Equal(third.PeerCertificates[0].Raw, renewed.Chain[0].Raw) {
			t.Errorf("dials %v: a renewed certificate is seen as the one before", dials)
		}
	}
	cfg, _ := nation(t)
	now := source(t, cfg, nil).Current()
	seen := map[*tls.Config]string{}
	for range 2 { // the second time they are the same ones
		for name, c := range map[string]*tls.Config{
			"server x": now.LinkServer([]string{"x"}), "server x y": now.LinkServer([]string{"x", "y"}),
			"bravo a": now.LinkClient("bravo.example", "a", "x"), "bravo b": now.LinkClient("bravo.example", "b", "x"),
			"bravo a y": now.LinkClient("bravo.example", "a", "y"), "charlie a": now.LinkClient("charlie.example", "a", "x"),
		} {
			if before, known := seen[c]; known && before != name {
				t.Errorf("%s and %s are one configuration", before, name)
			}
			seen[c] = name
		}
	}
	if len(seen) != 6 {
		t.Errorf("there are %d configurations, not 6", len(seen))
	}
}
