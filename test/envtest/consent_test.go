// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/card"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

// TestConsent plays what the peer says in its offers, and reads what our side
// makes of it.
func TestConsent(t *testing.T) {
	n := alfa(t)
	change := func(f func(*report.Peer)) {
		n.relay.change(func(r *report.Report) {
			linkUp(r)
			f(&r.Peers[0])
		})
	}
	for _, tc := range []struct {
		name   string
		change func(*report.Peer)
		want   []string
	}{
		{"a_path_is_down", func(p *report.Peer) { p.Paths[1].State, p.Paths[1].Inbound = report.Down, report.Down },
			[]string{"Redundant=False/PathDown", "Connected=True", "Ready=True"}},
		{"a_peer_that_suspended_us", func(p *report.Peer) { p.Offer.State = "Suspended" },
			[]string{"PeerAccepted=False/PeerSuspendedUs", "Connected=True", "Ready=True"}},
		{"no_version_in_common", func(p *report.Peer) { p.Offer.Versions, p.Offer.Version = []int32{7}, 0 }, []string{"PeerAccepted=False/VersionMismatch"}},
		{"another_card_of_ours", func(p *report.Peer) { p.Offer.AcceptedRoots = []string{"ffff"} },
			[]string{"PeerAccepted=False/CardDiffers", "TrustInSync=False/RootNotAccepted"}},
		{"our_old_bundle", func(p *report.Peer) { p.Offer.AcceptedRoots = []string{"0000", "aaaa"} },
			[]string{"PeerAccepted=True/Accepted", "TrustInSync=False/PeerHoldsOldBundle"}},
		{"a_learned_bundle", func(p *report.Peer) { p.Trust.Learned, p.Trust.Fingerprint = true, "dddd" }, []string{"TrustInSync=True/ManifestOutdated"}},
		{"a_word_that_no_release_of_ours_knows", func(p *report.Peer) { p.Offer.State, p.Offer.Outbound = "Quarantined", "Sideways" },
			[]string{"PeerAccepted=Unknown/Unknown", "Connected=True"}},
		{"an_offer_that_is_old", func(p *report.Peer) { p.Offer.ReceivedAt = time.Now().Add(-time.Hour) },
			[]string{"PeerAccepted=Unknown/OfferStale", "TrustInSync=Unknown/OfferStale"}},
		{"all_is_well_again", func(*report.Peer) {}, []string{"PeerAccepted=True/Accepted", "TrustInSync=True/InSync", "Redundant=True/PathsProven"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			change(tc.change)
			n.expect(t, n.peer, tc.want...)
		})
	}

	t.Run("what_only_we_declare_does_not_flow", func(t *testing.T) {
		change(func(p *report.Peer) { p.Offer.Exports, p.Offer.Imports, p.Offer.Hotline = nil, nil, false })
		n.expect(t, n.export, "PeerAccepted=False/NotOffered", "Ready=True")
		n.expect(t, n.imports, "PeerAccepted=False/NotOffered", "Ready=True")
		n.expect(t, n.hotline, "Reachable=False/NotOffered", "Ready=True")
		n.expect(t, n.peer, "PeerAccepted=True/Accepted")
		change(func(*report.Peer) {})
		n.expect(t, n.hotline, "Reachable=True")
	})

	t.Run("a_renewed_offer_writes_nothing", func(t *testing.T) {
		n.quiet(t, n.operator)
		before := len(n.operator.writes.since(0))
		n.relay.change(func(r *report.Report) {
			r.Peers = slices.Clone(r.Peers)
			offer := *r.Peers[0].Offer
			offer.ReceivedAt = offer.ReceivedAt.Add(time.Minute)
			r.Peers[0].Offer = &offer
		})
		n.watchQuiet(t, n.operator, before, 2*time.Second)
	})

	t.Run("transitions_are_told_as_events", func(t *testing.T) {
		eventually(t, "they are told", func() error {
			var list eventsv1.EventList
			if err := n.Client.List(t.Context(), &list, client.InNamespace(n.Namespace)); err != nil {
				return err
			}
			for _, reason := range []string{v1alpha1.ReasonPeerSuspendedUs, v1alpha1.ReasonRootNotAccepted, v1alpha1.ReasonPathDown, v1alpha1.ReasonInSync} {
				if !slices.ContainsFunc(list.Items, func(e eventsv1.Event) bool { return e.Reason == reason && e.Regarding.Kind == "PeerCERT" }) {
					return fmt.Errorf("%s is not among %d events", reason, len(list.Items))
				}
			}
			return nil
		})
	})
}

// TestANewBundleWaitsForAPerson takes what status offers into the spec.
func TestANewBundleWaitsForAPerson(t *testing.T) {
	n := alfa(t)
	next := testca.New(t, "bravo.example")
	certs, err := card.Certificates(next.Bundle())
	if err != nil {
		t.Fatal(err)
	}
	n.edit(t, n.peer, func() { n.peer.Spec.Trust.Rotation = v1alpha1.RotationManual })
	n.expect(t, n.peer, "Ready=True")
	n.relay.change(func(r *report.Report) {
		linkUp(r)
		r.Peers[0].Trust.OfferedFingerprint, r.Peers[0].Trust.OfferedBundle = card.Fingerprint("bravo.example", certs), next.Bundle()
	})
	n.expect(t, n.peer, "TrustInSync=False/BundleOffered", "Ready=True", "Connected=True")
	if live := n.relay.live(); live.Peers[0].Rotation != config.Manual {
		t.Errorf("the relay has rotation %q", live.Peers[0].Rotation)
	}
	shown := n.peer.Status.Trust
	if m := message(n.peer, "TrustInSync"); !strings.Contains(m, shown.OfferedFingerprint) || !strings.Contains(m, "spec.trust.bundle") {
		t.Errorf("does not say what to do: %s", m)
	}
	n.edit(t, n.peer, func() { n.peer.Spec.Trust.Bundle = n.peer.Status.Trust.OfferedBundle })
	n.relay.change(linkUp)
	n.expect(t, n.peer, "TrustInSync=True/InSync", "Ready=True")
	eventually(t, "the relay has what was offered and taken", func() error {
		if live := n.relay.live(); live.Peers[0].Bundle != next.Bundle() {
			return errors.New("it has another bundle")
		}
		return nil
	})
}

// TestDraining follows the tunnels of a peer to their end.
func TestDraining(t *testing.T) {
	n := alfa(t)
	connections, rate := int32(8), int32(16)
	n.edit(t, n.peer, func() {
		n.peer.Spec.State = v1alpha1.PeerDrained
		n.peer.Spec.Limits = v1alpha1.PeerLimits{TunnelConnections: &connections, TunnelKibibytesPerSecond: &rate}
	})
	n.expect(t, n.peer, "Suspended=True/Draining", "Connected=True", "Ready=True")
	drained := func(tunnels int64) func(*report.Report) {
		return func(r *report.Report) {
			linkUp(r)
			r.Peers[0].State, r.Peers[0].Tunnels = "Drained", tunnels
		}
	}
	n.relay.change(drained(2))
	eventually(t, "the open tunnels are told", func() error {
		if err := n.Client.Get(t.Context(), client.ObjectKeyFromObject(n.peer), n.peer); err != nil {
			return err
		}
		if m := message(n.peer, "Suspended"); !strings.Contains(m, "2 tunnels are still open") {
			return fmt.Errorf("it says %q", m)
		}
		return nil
	})
	n.relay.change(drained(0))
	n.expect(t, n.peer, "Suspended=True/Drained")
	want := config.Limits{TunnelConnections: 8, TunnelBytesPerSecond: 16 << 10, TransitBytesPerSecond: config.DefaultTransitBytesPerSecond}
	if live := n.relay.live(); live.Peers[0].State != config.Drained || live.Peers[0].Limits != want {
		t.Errorf("the relay has %+v", live.Peers[0])
	}
}
