// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package link judges the link to a peer by our relay's report: whether it is
// up and redundant, and whether the peer's last offer counts. It is pure, and
// all kinds use the same judgement: what Connected says of a PeerCERT is what
// Reachable says of a Hotline.
package link

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

// settle is how long a relay that has just started, or has just taken up a
// peer, may need beyond the detection budget before Unknown is news.
const settle = 5 * time.Second

// Budget is the detection time that a spec alone gives: misses × interval. The
// relay's report has the one with the measured round trip, which may be longer.
func Budget(b v1alpha1.DetectionBudget) time.Duration {
	interval, misses := int32(config.DefaultIntervalMilliseconds), int32(config.DefaultMisses)
	if b.IntervalMilliseconds != nil {
		interval = *b.IntervalMilliseconds
	}
	if b.Misses != nil {
		misses = *b.Misses
	}
	return time.Duration(interval) * time.Millisecond * time.Duration(misses)
}

// Find returns what a report says of a peer, nil if it says nothing.
func Find(r *report.Report, name string) *report.Peer {
	if r == nil {
		return nil
	}
	for i := range r.Peers {
		if r.Peers[i].Name == name {
			return &r.Peers[i]
		}
	}
	return nil
}

// Connected judges the link to a peer: at least one path is proven in both
// directions. The duration says when to look again; zero waits for news.
func Connected(v reports.View, p *v1alpha1.PeerCERT, now time.Time) (status.Fact, time.Duration) {
	if p.Spec.State == v1alpha1.PeerRevoked {
		return status.Fact{
			Status:  metav1.ConditionFalse,
			Reason:  v1alpha1.ReasonRevoked,
			Message: "spec.state is Revoked: our relay accepts nothing from the peer and sends it nothing",
		}, 0
	}
	if fact, blind := Blind(v); blind {
		return fact, 0
	}
	if seen := Find(v.Report, p.Name); seen != nil {
		if fact, decided := judge(seen, p); decided {
			return fact, 0
		}
	}
	waited, patience := settled(v, now), Budget(p.Spec.Detection)+settle
	if waited < patience {
		return status.Fact{Reason: v1alpha1.ReasonPending, Message: "our relay has not probed the peer yet"}, patience - waited
	}
	return status.Fact{
		Status:  metav1.ConditionUnknown,
		Reason:  v1alpha1.ReasonUnknown,
		Message: "our relay cannot tell yet whether the peer is there; see the conditions of the LocalCERT",
	}, 0
}

// settled is how long the relay has had to look at what it was last told.
func settled(v reports.View, now time.Time) time.Duration {
	began := v.Report.StartedAt
	if v.WrittenAt.After(began) {
		began = v.WrittenAt
	}
	return now.Sub(began)
}

// Blind says what can be said without a report; false when there is one.
func Blind(v reports.View) (status.Fact, bool) {
	switch v.Contact {
	case reports.Reached:
		return status.Fact{}, false
	case reports.Undeployed:
		return status.Fact{
			Status:  metav1.ConditionUnknown,
			Reason:  v1alpha1.ReasonRelayUnreachable,
			Message: "our relay does not run yet; the conditions of the LocalCERT say why",
		}, true
	case reports.Lost:
		return status.Fact{
			Status:  metav1.ConditionUnknown,
			Reason:  v1alpha1.ReasonRelayUnreachable,
			Message: "the operator cannot read the report of our relay, so it cannot tell; the link itself may be up: " + v.Error,
		}, true
	case reports.Unseen, reports.Calling:
	}
	return status.Fact{Reason: v1alpha1.ReasonPending, Message: "waiting for the first report of our relay"}, true
}

// judge says what a report says, or false while that is nothing yet.
func judge(seen *report.Peer, p *v1alpha1.PeerCERT) (status.Fact, bool) {
	if connected(seen, p) {
		return status.Fact{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonProbesAnswered, Message: "heartbeats are answered in both directions"}, true
	}
	if down, is := failing(seen, p); is {
		return status.Fact{Status: metav1.ConditionFalse, Reason: Reason(down.Cause), Message: message(down)}, true
	}
	if allDown(seen) || alive(seen.Outbound.State) && alive(seen.Inbound.State) && !deciding(seen) {
		return status.Fact{
			Status: metav1.ConditionFalse,
			Reason: v1alpha1.ReasonPathsOneWay,
			Message: "no path works in both directions, though something arrives; " +
				"status.paths says which direction of which path fails: look for a firewall or a route between the two that lets one direction through only",
		}, true
	}
	return status.Fact{}, false
}

// connected tells whether a path is proven in both directions. A relay of the
// release before this one names no path that the peer dials, so that a peer
// without endpoints of its own is judged by its direction.
func connected(seen *report.Peer, p *v1alpha1.PeerCERT) bool {
	if len(seen.Paths) > 0 {
		return slices.ContainsFunc(seen.Paths, func(path report.PathState) bool { return Proven(seen, path) })
	}
	return alive(seen.Inbound.State) && (alive(seen.Outbound.State) || len(p.Spec.Endpoints) == 0)
}

// Proven tells whether a path is proven in both directions. Where a path does
// not tell its directions, those of the link stand for them.
func Proven(seen *report.Peer, path report.PathState) bool {
	return alive(path.State) &&
		alive(cmp.Or(path.Outbound, seen.Outbound.State)) &&
		alive(cmp.Or(path.Inbound, seen.Inbound.State))
}

// allDown tells whether there are paths, and all of them are down.
func allDown(seen *report.Peer) bool {
	return len(seen.Paths) > 0 && !slices.ContainsFunc(seen.Paths, func(path report.PathState) bool { return path.State != report.Down })
}

// deciding tells whether a path exists about which it is too early to speak.
func deciding(seen *report.Peer) bool {
	return slices.ContainsFunc(seen.Paths, func(path report.PathState) bool {
		return path.State == report.Unknown || path.Outbound == report.Unknown || path.Inbound == report.Unknown
	})
}

// alive tells whether heartbeats come: also when they were late, or are back
// only now.
func alive(s report.State) bool {
	return s == report.Up || s == report.Suspect || s == report.Recovering
}

// failing is the direction that is to be mended: ours, else the peer's.
func failing(seen *report.Peer, p *v1alpha1.PeerCERT) (report.Direction, bool) {
	out, in := seen.Outbound, seen.Inbound
	if in.Cause == report.CauseNone {
		in.Cause = report.CauseSilent
	}
	if len(p.Spec.Endpoints) == 0 {
		// The peer is to dial us: its direction tells.
		if in.Cause == report.CauseSilent {
			in.Cause = report.CauseNoEndpoints
		}
		out, in = in, out
	}
	if out.State == report.Down {
		return out, true
	}
	return in, in.State == report.Down
}

// causes maps the words of the report to those of the API, with what to say
// when the relay said nothing.
var causes = map[report.Cause]struct{ reason, hint string }{
	report.CauseUnreachable: {v1alpha1.ReasonAddressUnreachable,
		"no endpoint of the peer accepts a connection; check spec.endpoints, the way there, and whether their relay runs"},
	report.CauseUntrusted: {v1alpha1.ReasonPeerCertificateUntrusted,
		"the peer's certificate does not chain to spec.trust; ask the peer for its card and compare the fingerprint"},
	report.CauseTrustDomain: {v1alpha1.ReasonPeerTrustDomainMismatch,
		"the certificate at the peer's endpoint names another trust domain; check spec.endpoints and spec.identity.trustDomain"},
	report.CauseExpired: {v1alpha1.ReasonPeerCertificateExpired,
		"a certificate of the peer, or of spec.trust, is outside its validity; ask the peer to renew it, or for its new card"},
	report.CauseRefused: {v1alpha1.ReasonPeerRefusedUs,
		"the peer refused our certificate; ask the peer to check its PeerCERT about us against our card (status.card of our LocalCERT)"},
	report.CauseSilent: {v1alpha1.ReasonPeerSilent,
		"we reach the peer, but its probes do not reach us; ask the peer to check its PeerCERT about us: our address, and its way to us"},
	report.CauseProtocol: {v1alpha1.ReasonProtocolError,
		"what answers at the peer's endpoint does not speak this protocol; check the address and port in spec.endpoints"},
	report.CauseNoEndpoints: {v1alpha1.ReasonNoEndpoints,
		"spec.endpoints is empty and the peer has not reached us; add an endpoint, or ask the peer to dial us"},
}

// Reason of a cause in the report.
func Reason(cause report.Cause) string {
	if c, ok := causes[cause]; ok {
		return c.reason
	}
	return v1alpha1.ReasonUnknown
}

func message(d report.Direction) string {
	if d.Message != "" {
		return d.Message
	}
	if c, ok := causes[d.Cause]; ok {
		return c.hint
	}
	return fmt.Sprintf("heartbeats are not answered, and our relay names no cause that this operator knows (%q); see status.paths and the relay's log", d.Cause)
}
