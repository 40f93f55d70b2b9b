// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package peercert

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/link"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/internal/card"
	relayreport "github.com/certlink/certlink/relay/report"
)

// peerAccepted says whether the peer, by its last signed offer, accepts what we
// declare: it speaks our protocol, holds our card, and has not suspended us.
func peerAccepted(p *v1alpha1.PeerCERT, s *seen, now time.Time) (status.Fact, time.Duration) {
	offer, fact, again := link.Offer(s.view, p, now)
	if offer == nil {
		return fact, again
	}
	if offer.Version < 1 {
		return no(v1alpha1.ReasonVersionMismatch, fmt.Sprintf(
			"the peer's relay (release %s) speaks the versions %v of the link protocol, and ours none of these; only offers are exchanged: upgrade the side that is behind",
			cmp.Or(text(offer.Release, maxText), "unknown"), offer.Versions[:min(len(offer.Versions), maxPaths)])), again
	}
	if s.cardDiffers(offer) {
		return no(v1alpha1.ReasonCardDiffers, fmt.Sprintf(
			"the peer holds our card with fingerprint %s, but ours is %s: send them status.card of our LocalCERT, and let them compare the fingerprint over another channel",
			text(offer.Card, maxPrint), cmp.Or(s.local.Status.Fingerprint, "not known yet"))), again
	}
	if fact, withheld := link.Withheld(offer); withheld {
		return fact, again
	}
	return yes(v1alpha1.ReasonAccepted, fmt.Sprintf("the peer's offer accepts our card; both speak version %d of the link protocol", offer.Version)), again
}

// cardDiffers tells whether the peer knows us by other CA certificates. While
// one of them is ours it is a rotation under way, which TrustInSync tells.
func (s *seen) cardDiffers(o *relayreport.Offer) bool {
	ours := s.view.Report.Identity.Roots
	if len(ours) > 0 && len(o.AcceptedRoots) > 0 {
		return !slices.ContainsFunc(ours, func(root string) bool { return slices.Contains(o.AcceptedRoots, root) })
	}
	return o.Card != "" && s.local.Status.Fingerprint != "" && !card.SameFingerprint(o.Card, s.local.Status.Fingerprint)
}

// trustInSync says whether both sides accept each other's CA certificates as
// they are now: first ours for the peer, then the peer's for us.
func trustInSync(p *v1alpha1.PeerCERT, s *seen, now time.Time) (status.Fact, time.Duration) {
	offer, fact, again := link.Offer(s.view, p, now)
	if _, blind := link.Blind(s.view); blind || p.Spec.State == v1alpha1.PeerRevoked {
		return fact, again
	}
	found := link.Find(s.view.Report, p.Name)
	if found != nil && found.Trust != nil {
		if fact, wrong := theirBundle(p, found.Trust); wrong {
			return fact, again
		}
	}
	if offer == nil {
		return fact, again
	}
	if fact, wrong := s.ourBundle(offer); wrong {
		return fact, again
	}
	if found.Trust == nil {
		return status.Fact{Reason: v1alpha1.ReasonPending, Message: "our relay has not said yet which CA certificates it accepts for the peer"}, again
	}
	if found.Trust.Learned && found.Trust.Fingerprint != p.Status.Fingerprint {
		return yes(v1alpha1.ReasonManifestOutdated, fmt.Sprintf(
			"both sides accept each other's CA certificates; those of the peer came over the link and have the fingerprint %s, while %s holds the ones before: "+
				"put the peer's new card there at leisure", text(found.Trust.Fingerprint, maxPrint), where(p))), again
	}
	return yes(v1alpha1.ReasonInSync, "both sides accept each other's CA certificates"), again
}

// theirBundle says what is wrong with the CA certificates that we accept for the peer.
func theirBundle(p *v1alpha1.PeerCERT, t *relayreport.Trust) (status.Fact, bool) {
	if t.Error != "" {
		return no(v1alpha1.ReasonOfferRefused, "our relay did not take the CA certificates that the peer offers, and goes on with those before: "+t.Error), true
	}
	if t.OfferedFingerprint != "" {
		return no(v1alpha1.ReasonBundleOffered, fmt.Sprintf(
			"the peer offers new CA certificates, fingerprint %s, and spec.trust.rotation is Manual: compare the fingerprint with the peer over the telephone, "+
				"then put status.trust.offeredBundle into %s; kubectl get pcert %s -o jsonpath='{.status.trust.offeredBundle}' prints it",
			text(t.OfferedFingerprint, maxPrint), where(p), p.Name)), true
	}
	return status.Fact{}, false
}

// ourBundle says what is wrong with the CA certificates that the peer accepts for us.
func (s *seen) ourBundle(o *relayreport.Offer) (status.Fact, bool) {
	ours := s.view.Report.Identity
	if ours.Root == "" {
		return status.Fact{Reason: v1alpha1.ReasonPending, Message: "our relay has not said yet which CA certificate its own certificate chains to"}, true
	}
	cards := fmt.Sprintf("the peer holds our card with fingerprint %s, ours is %s", cmp.Or(text(o.Card, maxPrint), "not known"), cmp.Or(s.local.Status.Fingerprint, "not known yet"))
	if !slices.Contains(o.AcceptedRoots, ours.Root) {
		return no(v1alpha1.ReasonRootNotAccepted, "the peer does not accept the CA certificate above our relay's certificate, and will refuse new connections: "+cards+
			"; their operators must put status.card of our LocalCERT into their PeerCERT about us"), true
	}
	if len(ours.Roots) > 0 && !sameSet(ours.Roots, o.AcceptedRoots) {
		return no(v1alpha1.ReasonPeerHoldsOldBundle, "the link works, but the peer accepts other CA certificates of ours than those that we use now: "+cards+
			"; with spec.trust.rotation Automatic on their side it follows by itself, otherwise their operators must put our new card into their PeerCERT about us"), true
	}
	return status.Fact{}, false
}

// where the bundle of a PeerCERT is declared, for people.
func where(p *v1alpha1.PeerCERT) string {
	if ref := p.Spec.Trust.BundleRef; ref != nil {
		return fmt.Sprintf("key %q of ConfigMap %q", cmp.Or(ref.Key, "ca.crt"), ref.Name)
	}
	return "spec.trust.bundle"
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

func yes(reason, message string) status.Fact {
	return status.Fact{Status: metav1.ConditionTrue, Reason: reason, Message: message}
}

func no(reason, message string) status.Fact {
	return status.Fact{Status: metav1.ConditionFalse, Reason: reason, Message: message}
}
