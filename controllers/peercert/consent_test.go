// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package peercert

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/testca"
	relayreport "github.com/certlink/certlink/relay/report"
)

// verdicts are changes of a world in which all is well, and what one condition
// then says.
type verdicts map[string]struct {
	change func(*v1alpha1.PeerCERT, *relayreport.IdentityState, *relayreport.Peer)
	want   string
	says   []string
}

func (list verdicts) check(t *testing.T, condition string) {
	t.Helper()
	ca := testca.New(t, "bravo.example")
	for name, tc := range list {
		t.Run(name, func(t *testing.T) {
			p := bravo()
			s := world(p, ca.Bundle(), noon)
			tc.change(p, &s.view.Report.Identity, the(s))
			run(t, p, s, noon)
			c := meta.FindStatusCondition(p.Status.Conditions, condition)
			if got := string(c.Status) + "/" + c.Reason; got != tc.want {
				t.Errorf("got %s (%s), want %s", got, c.Message, tc.want)
			}
			for _, words := range tc.says {
				if !strings.Contains(c.Message, words) {
					t.Errorf("does not say %q: %s", words, c.Message)
				}
			}
		})
	}
}

func TestPeerAccepted(t *testing.T) {
	const theirs = "cccc-cccc-cccc-cccc-cccc-cccc-cccc-cccc"
	verdicts{
		"the_offer_accepts_us": {func(*v1alpha1.PeerCERT, *relayreport.IdentityState, *relayreport.Peer) {}, "True/Accepted", []string{"version 1"}},
		"no_version_in_common": {func(_ *v1alpha1.PeerCERT, _ *relayreport.IdentityState, r *relayreport.Peer) {
			r.Offer.Versions, r.Offer.Version = []int32{4, 5}, 0
		}, "False/VersionMismatch", []string{"[4 5]", "v0.2.0", "upgrade"}},
		"another_card_of_ours": {func(_ *v1alpha1.PeerCERT, _ *relayreport.IdentityState, r *relayreport.Peer) {
			r.Offer.Card, r.Offer.AcceptedRoots = theirs, []string{"9999"}
		}, "False/CardDiffers", []string{theirs, ourCard, "status.card"}},
		"a_card_without_word_of_its_roots": {func(_ *v1alpha1.PeerCERT, id *relayreport.IdentityState, r *relayreport.Peer) {
			r.Offer.Card, id.Roots = theirs, nil
		}, "False/CardDiffers", []string{theirs}},
		"a_card_of_a_rotation_under_way_is_ours": {func(_ *v1alpha1.PeerCERT, id *relayreport.IdentityState, r *relayreport.Peer) {
			r.Offer.Card, id.Roots = theirs, []string{root, "3333"}
		}, "True/Accepted", nil},
		"the_peer_suspended_us": {func(_ *v1alpha1.PeerCERT, _ *relayreport.IdentityState, r *relayreport.Peer) {
			r.Offer.State = "Suspended"
		},
			"False/PeerSuspendedUs", []string{"call them"}},
		"the_peer_drained_us": {func(_ *v1alpha1.PeerCERT, _ *relayreport.IdentityState, r *relayreport.Peer) {
			r.Offer.State = "Drained"
		},
			"False/PeerDrainedUs", nil},
		"the_peer_revoked_us": {func(_ *v1alpha1.PeerCERT, _ *relayreport.IdentityState, r *relayreport.Peer) {
			r.Offer.State = "Revoked"
		},
			"False/PeerRevokedUs", nil},
		"a_state_of_a_newer_release": {func(_ *v1alpha1.PeerCERT, _ *relayreport.IdentityState, r *relayreport.Peer) {
			r.Offer.State = "Quarantined"
		},
			"Unknown/Unknown", []string{"Quarantined"}},
		"fields_of_a_newer_release_change_nothing": {func(_ *v1alpha1.PeerCERT, _ *relayreport.IdentityState, r *relayreport.Peer) {
			r.Offer.Unknown, r.Offer.Versions = []string{"quantum"}, []int32{1, 2, 3}
		}, "True/Accepted", nil},
		"no_offer": {func(_ *v1alpha1.PeerCERT, _ *relayreport.IdentityState, r *relayreport.Peer) { r.Offer = nil },
			"Unknown/NoOffer", []string{"does not run certlink"}},
		"an_old_offer": {func(_ *v1alpha1.PeerCERT, _ *relayreport.IdentityState, r *relayreport.Peer) {
			r.Offer.ReceivedAt, r.Offer.State = noon.Add(-time.Hour), "Suspended"
		}, "Unknown/OfferStale", []string{"11:00:00Z"}},
	}.check(t, v1alpha1.ConditionPeerAccepted)
}

func TestTrustInSync(t *testing.T) {
	verdicts{
		"both_as_declared": {func(*v1alpha1.PeerCERT, *relayreport.IdentityState, *relayreport.Peer) {}, "True/InSync", nil},
		"theirs_was_learned": {func(_ *v1alpha1.PeerCERT, _ *relayreport.IdentityState, r *relayreport.Peer) {
			r.Trust.Learned, r.Trust.Fingerprint = true, "dddd"
		}, "True/ManifestOutdated", []string{"dddd", "spec.trust.bundle", "leisure"}},
		"theirs_was_learned_and_declared_since": {func(p *v1alpha1.PeerCERT, _ *relayreport.IdentityState, r *relayreport.Peer) {
			certs := p.Status.Fingerprint
			r.Trust.Learned, r.Trust.Fingerprint = false, certs
		}, "True/InSync", nil},
		"theirs_waits_for_a_person": {func(_ *v1alpha1.PeerCERT, _ *relayreport.IdentityState, r *relayreport.Peer) {
			r.Trust.OfferedFingerprint = "eeee"
		}, "False/BundleOffered", []string{"eeee", "telephone", "into spec.trust.bundle", "kubectl get pcert bravo"}},
		"theirs_waits_for_a_ConfigMap": {func(p *v1alpha1.PeerCERT, _ *relayreport.IdentityState, r *relayreport.Peer) {
			p.Spec.Trust.BundleRef = &v1alpha1.BundleReference{Name: "bravo-ca"}
			r.Trust.OfferedFingerprint = "eeee"
		}, "False/BundleOffered", []string{`key "ca.crt" of ConfigMap "bravo-ca"`}},
		"it_waits_while_the_peer_is_silent": {func(_ *v1alpha1.PeerCERT, _ *relayreport.IdentityState, r *relayreport.Peer) {
			r.Trust.OfferedFingerprint, r.Offer = "eeee", nil
		}, "False/BundleOffered", nil},
		"theirs_was_refused": {func(_ *v1alpha1.PeerCERT, _ *relayreport.IdentityState, r *relayreport.Peer) {
			r.Trust.Error = "it holds a leaf; ask the peer for its CA certificate"
		}, "False/OfferRefused", []string{"it holds a leaf"}},
		"ours_is_not_accepted": {func(_ *v1alpha1.PeerCERT, id *relayreport.IdentityState, _ *relayreport.Peer) {
			id.Root, id.Roots = "3333", []string{root, "3333"}
		}, "False/RootNotAccepted", []string{"refuse new connections", ourCard, "their PeerCERT"}},
		"our_next_one_is_not_accepted_yet": {func(_ *v1alpha1.PeerCERT, id *relayreport.IdentityState, _ *relayreport.Peer) {
			id.Roots = []string{root, "3333"}
		}, "False/PeerHoldsOldBundle", []string{"the link works", "Automatic"}},
		"our_last_one_is_still_accepted": {func(_ *v1alpha1.PeerCERT, _ *relayreport.IdentityState, r *relayreport.Peer) {
			r.Offer.AcceptedRoots = []string{"0000", root}
		}, "False/PeerHoldsOldBundle", nil},
		"the_order_of_roots_says_nothing": {func(_ *v1alpha1.PeerCERT, id *relayreport.IdentityState, r *relayreport.Peer) {
			id.Roots, r.Offer.AcceptedRoots = []string{root, "3333"}, []string{"3333", root, root}
		}, "True/InSync", nil},
		"the_relay_does_not_know_our_root_yet": {func(_ *v1alpha1.PeerCERT, id *relayreport.IdentityState, _ *relayreport.Peer) {
			id.Root, id.Roots = "", nil
		}, "Unknown/Pending", nil},
		"the_relay_does_not_know_theirs_yet": {func(_ *v1alpha1.PeerCERT, _ *relayreport.IdentityState, r *relayreport.Peer) { r.Trust = nil },
			"Unknown/Pending", nil},
		"no_offer": {func(_ *v1alpha1.PeerCERT, _ *relayreport.IdentityState, r *relayreport.Peer) { r.Offer = nil },
			"Unknown/NoOffer", nil},
		"an_old_offer": {func(_ *v1alpha1.PeerCERT, _ *relayreport.IdentityState, r *relayreport.Peer) {
			r.Offer.ReceivedAt = noon.Add(-time.Hour)
		}, "Unknown/OfferStale", nil},
	}.check(t, v1alpha1.ConditionTrustInSync)
}
