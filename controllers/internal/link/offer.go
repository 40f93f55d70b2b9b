// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/relay/report"
)

// Times of offers: they come every 30 s, and the report gives their time to the
// minute.
const (
	// StaleAfter is the age at which an offer does not count any more.
	StaleAfter = 3 * time.Minute
	// firstOffer is how long a relay that has just started, or taken up the peer,
	// may wait for an offer before it is news that there is none.
	firstOffer = 45 * time.Second
)

// Offer returns the peer's last offer if it counts; else nil, and what to say
// where an offer is needed. The duration says when to look again; zero waits for
// news.
func Offer(v reports.View, p *v1alpha1.PeerCERT, now time.Time) (*report.Offer, status.Fact, time.Duration) {
	if p.Spec.State == v1alpha1.PeerRevoked {
		return nil, unknown(v1alpha1.ReasonRevoked, "spec.state is Revoked: no offers are exchanged with the peer"), 0
	}
	if fact, blind := Blind(v); blind {
		return nil, fact, 0
	}
	seen := Find(v.Report, p.Name)
	if seen == nil || seen.Offer == nil {
		if waited := settled(v, now); waited < firstOffer {
			return nil, status.Fact{Reason: v1alpha1.ReasonPending, Message: "waiting for the peer's offer"}, firstOffer - waited
		}
		return nil, unknown(v1alpha1.ReasonNoOffer, "the peer has sent no signed offer: see Connected if the link is down; "+
			"a partner that does not run certlink sends none, and only reads the feeds that we export to it"), 0
	}
	if age := now.Sub(seen.Offer.ReceivedAt); age <= StaleAfter {
		return seen.Offer, status.Fact{}, StaleAfter - age + time.Second
	}
	why := "see Connected"
	if seen.Offer.Error != "" {
		why = seen.Offer.Error
	}
	return nil, unknown(v1alpha1.ReasonOfferStale, fmt.Sprintf("the peer's last signed offer came at %s and is too old to count: %s",
		seen.Offer.ReceivedAt.UTC().Format(time.RFC3339), why)), 0
}

// Withheld says that the peer, by its offer, lets nothing of feeds and services
// flow; false when it does. Words that only a newer release knows are Unknown.
func Withheld(o *report.Offer) (status.Fact, bool) {
	const ask = "their operators set spec.state in their PeerCERT about us; call them to learn why"
	no := func(reason, what string) (status.Fact, bool) {
		return status.Fact{Status: metav1.ConditionFalse, Reason: reason, Message: what + "; " + ask}, true
	}
	switch v1alpha1.PeerState(o.State) {
	case v1alpha1.PeerActive, "":
		return status.Fact{}, false
	case v1alpha1.PeerSuspended:
		return no(v1alpha1.ReasonPeerSuspendedUs, "the peer has suspended us: it holds feeds and services back, the hotline goes on")
	case v1alpha1.PeerDrained:
		return no(v1alpha1.ReasonPeerDrainedUs, "the peer has drained us: it opens nothing new, and what is open may end; the hotline goes on")
	case v1alpha1.PeerRevoked:
		return no(v1alpha1.ReasonPeerRevokedUs, "the peer has revoked us: it accepts nothing from us")
	}
	return unknown(v1alpha1.ReasonUnknown,
		fmt.Sprintf("the peer's offer says that its state for us is %q, which our release does not know; upgrade our side, or ask the peer", o.State)), true
}

func unknown(reason, message string) status.Fact {
	return status.Fact{Status: metav1.ConditionUnknown, Reason: reason, Message: message}
}
