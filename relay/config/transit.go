// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

// Transit says whether we carry messages between a peer and others, as in
// PeerCERT.spec.transit.
type Transit string

// The ways of transit.
const (
	// TransitDenied carries nothing.
	TransitDenied Transit = "Denied"
	// TransitAllowed carries sealed messages between this peer and others that are
	// Allowed too.
	TransitAllowed Transit = "Allowed"
)

// maxTransit is the largest number of peers through which the messages of a hotline may go.
const maxTransit = 8

// validateTransit checks through which peers the messages of a hotline may go.
func (h Hotline) validateTransit(f faults, peers *set) {
	checkCount(f, len(h.Transit), maxTransit)
	names := newSet("peer")
	for i, name := range h.Transit {
		names.add(f.at(i), name)
		checkPeer(f.at(i).in("peer"), name, peers)
		if name == h.Peer {
			f.at(i).add("is the peer at the other end; transit goes through a third one")
		}
	}
}
