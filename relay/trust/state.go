// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"maps"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/identity"
)

// state is what the records add up to. Its values are replaced, never changed.
type state struct {
	leaves map[string]Hash // ours, by item
	roots  []Hash          // by which peers are to know us
	peers  map[string]peerState
}

type peerState struct {
	state, rotation string
	base            string // names the configured bundle
	baseRoots       []Hash // those in it
	withdrawn       []Hash // taken out of it by a person, and not put back
	inForce         []Hash
	offered         []Hash      // of the last BundleOffered
	offers          []time.Time // of the newest records that the peer caused
}

func newState() state {
	return state{leaves: map[string]Hash{}, peers: map[string]peerState{}}
}

// add adds what a record says.
func (s *state) add(r Record) {
	p := s.peers[r.Subject]
	switch r.What {
	case LeafChanged:
		if len(r.New) == 1 {
			s.leaves[r.Item] = r.New[0]
		}
		return
	case RootAdded:
		s.roots = append(slices.Clone(s.roots), r.New...)
		return
	case RootRetired:
		s.roots = slices.DeleteFunc(slices.Clone(s.roots), func(h Hash) bool { return slices.Contains(r.Old, h) })
		return
	case PeerRemoved:
		delete(s.peers, r.Subject)
		return
	case PeerAdded:
		p = peerState{state: r.To, rotation: string(config.Automatic), base: r.Base, baseRoots: r.New, inForce: r.New}
	case StateChanged:
		p.state = r.To
	case RotationChanged:
		p.rotation = r.To
	case BundleChanged:
		if r.Base != p.base { // nothing that was learned counts under it
			p = p.rebase(r.New)
		}
		p.base, p.inForce = r.Base, r.New
	case BundleLearned:
		p.inForce = r.New
	case BundleOffered:
		p.offered = r.New
	default:
		return // of a newer release
	}
	if r.Cause == Offer {
		p.offers = append(slices.Clone(p.offers), r.At)
		p.offers = p.offers[max(0, len(p.offers)-maxOffers):]
	}
	s.peers[r.Subject] = p
}

// rebase takes another configured bundle. What the one before had beyond it was
// withdrawn by a person, but for what has a key that is still in it.
func (p peerState) rebase(base []Hash) peerState {
	var out []Hash
	for _, h := range slices.Concat(p.withdrawn, p.baseRoots) {
		if !slices.Contains(out, h) && !slices.ContainsFunc(base, func(b Hash) bool { return b.Key == h.Key }) {
			out = append(out, h)
		}
	}
	p.baseRoots, p.withdrawn = base, out[max(0, len(out)-maxWithdrawn):]
	return p
}

// differences are the records that lead from the state to a snapshot. With whole, a
// bundle in force that differs from the recorded one is a difference too; without,
// only a changed configuration is, because what a peer offers is recorded before it
// is in any snapshot. The time is for the caller to set.
func (s *state) differences(now *identity.Snapshot, whole bool) []Record {
	all := s.ourDifferences(now)
	known := map[string]bool{}
	for _, p := range now.Peers() {
		known[p.TrustDomain] = true
		all = append(all, s.peerDifferences(now, p, whole)...)
	}
	for _, td := range slices.Sorted(maps.Keys(s.peers)) {
		if !known[td] {
			all = append(all, Record{Subject: td, What: PeerRemoved, Cause: Configuration, From: s.peers[td].state, Old: s.peers[td].inForce})
		}
	}
	return all
}

func (s *state) ourDifferences(now *identity.Snapshot) []Record {
	var all []Record
	leaves := now.Leaves()
	for _, item := range slices.Sorted(maps.Keys(leaves)) {
		before, known := s.leaves[item]
		after := hashOf(leaves[item])
		if before == after {
			continue
		}
		r := Record{Subject: now.TrustDomain(), What: LeafChanged, Cause: File, Item: item, New: []Hash{after}}
		if known {
			r.Old = []Hash{before}
		}
		all = append(all, r)
	}
	cause := File
	if now.BundleConfigured() {
		cause = Configuration
	}
	roots := hashesOf(now.Advertised())
	if added := minus(roots, s.roots); len(added) > 0 {
		all = append(all, Record{Subject: now.TrustDomain(), What: RootAdded, Cause: cause, New: added})
	}
	if retired := minus(s.roots, roots); len(retired) > 0 {
		all = append(all, Record{Subject: now.TrustDomain(), What: RootRetired, Cause: cause, Old: retired})
	}
	return all
}

func (s *state) peerDifferences(now *identity.Snapshot, p config.Peer, whole bool) []Record {
	trust, _ := now.PeerTrust(p.TrustDomain)
	inForce := hashesOf(trust.Roots)
	about := func(what What) Record {
		return Record{Subject: p.TrustDomain, What: what, Cause: Configuration, Base: trust.Base}
	}
	before, known := s.peers[p.TrustDomain]
	var all []Record
	if !known {
		r := about(PeerAdded)
		r.To, r.New = string(p.State), inForce
		before = peerState{state: r.To, rotation: string(config.Automatic), base: trust.Base, inForce: inForce}
		all = append(all, r)
	}
	if before.state != string(p.State) {
		r := about(StateChanged)
		r.From, r.To = before.state, string(p.State)
		all = append(all, r)
	}
	if rotation := string(orAutomatic(p.Rotation)); before.rotation != rotation {
		r := about(RotationChanged)
		r.From, r.To = before.rotation, rotation
		all = append(all, r)
	}
	// What was learned ends with a revocation.
	if before.base != trust.Base || (whole || p.State == config.Revoked) && !slices.Equal(before.inForce, inForce) {
		r := about(BundleChanged)
		r.Old, r.New = before.inForce, inForce
		all = append(all, r)
	}
	return all
}

func orAutomatic(r config.Rotation) config.Rotation {
	if r == "" {
		return config.Automatic
	}
	return r
}

// minus returns what a has and b has not.
func minus(a, b []Hash) []Hash {
	var out []Hash
	for _, h := range a {
		if !slices.Contains(b, h) {
			out = append(out, h)
		}
	}
	return out
}
