// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sharedfeed

import (
	"slices"
	"strings"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/lookup"
	"github.com/certlink/certlink/controllers/internal/status"
)

// peersBy are the named peers that there are, sorted, by what we allow them.
func (s *seen) peersBy(f *v1alpha1.SharedFeed) map[v1alpha1.PeerState][]string {
	by := map[v1alpha1.PeerState][]string{}
	for _, name := range slices.Sorted(slices.Values(lookup.FeedPeers(f))) {
		if p := s.peers[name]; p != nil {
			state := p.Spec.State
			if state == "" {
				state = v1alpha1.PeerActive
			}
			by[state] = append(by[state], name)
		}
	}
	return by
}

// held says that we hold a feed back by the states of all of its peers.
func (s *seen) held(f *v1alpha1.SharedFeed) (status.Fact, bool) {
	by := s.peersBy(f)
	if len(by) == 0 || len(by[v1alpha1.PeerActive]) > 0 {
		return status.Fact{}, false
	}
	told := "spec.state of PeerCERT " + states(by)
	switch {
	case len(by) > 1:
		return no(v1alpha1.ReasonSuspended, told+": nothing of this feed flows"), true
	case len(by[v1alpha1.PeerRevoked]) > 0:
		return no(v1alpha1.ReasonRevoked, told+": nothing of this feed is sent or taken"), true
	case len(by[v1alpha1.PeerDrained]) > 0:
		return no(v1alpha1.ReasonDrained, told+": feeds stand still, and catch up when it is Active again"), true
	}
	return no(v1alpha1.ReasonSuspended, told+": feeds stand still, and catch up when it is Active again"), true
}

// states says of peers how we hold each back: "bravo is Suspended, charlie is Revoked".
func states(by map[v1alpha1.PeerState][]string) string {
	var told []string
	for _, state := range []v1alpha1.PeerState{v1alpha1.PeerDrained, v1alpha1.PeerRevoked, v1alpha1.PeerSuspended} {
		if names := by[state]; len(names) > 0 {
			told = append(told, strings.Join(names, ", ")+" is "+string(state))
		}
	}
	return strings.Join(told, ", ")
}

// offered says to whom an export goes, and to whom not.
func offered(by map[v1alpha1.PeerState][]string) string {
	text := "allowed objects are offered to " + strings.Join(by[v1alpha1.PeerActive], ", ")
	if others := states(by); others != "" {
		text += "; not to all: spec.state of PeerCERT " + others
	}
	return text
}
