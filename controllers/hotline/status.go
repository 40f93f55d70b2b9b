// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/link"
	"github.com/certlink/certlink/controllers/internal/lookup"
	"github.com/certlink/certlink/controllers/internal/loop"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/relay/config"
	relayreport "github.com/certlink/certlink/relay/report"
)

// seen is everything that the status of a Hotline depends on.
type seen struct {
	local    *v1alpha1.LocalCERT
	peer     *v1alpha1.PeerCERT // nil if there is none
	siblings []v1alpha1.Hotline // to the same peer
	view     reports.View
	// references are the Secrets that notifiers name; there, the keys of those that exist.
	references []relayconfig.Reference
	there      relayconfig.Keys
}

// report writes what was seen into the status. It is pure.
func report(h *v1alpha1.Hotline, s *seen, edit *status.Editor, now time.Time) loop.Outcome {
	verdict, again := s.verdict(h, edit, now)
	if verdict.Fate == status.Stalled || s.local == nil || s.peer == nil {
		none := status.Fact{Status: metav1.ConditionFalse, Reason: verdict.Reason, Message: verdict.Message}
		edit.Put(v1alpha1.ConditionReachable, none)
		edit.Put(v1alpha1.ConditionAnswered, status.Fact{Status: metav1.ConditionUnknown, Reason: verdict.Reason, Message: verdict.Message})
		edit.Put(v1alpha1.ConditionLineChecked, status.Fact{Status: metav1.ConditionUnknown, Reason: verdict.Reason, Message: verdict.Message})
		return loop.Outcome{Verdict: verdict, Again: again}
	}
	line := s.line(h.Name)
	describe(h, line)
	up, later := link.Connected(s.view, s.peer, now)
	again = lookup.Soonest(again, later)
	offer, _, later := link.Offer(s.view, s.peer, now)
	if up.Status == metav1.ConditionTrue && offer != nil {
		// Without an offer the link has the last word.
		again = lookup.Soonest(again, later)
		up = s.taken(offer)
	}
	edit.Put(v1alpha1.ConditionReachable, s.reachable(line, up))
	edit.Put(v1alpha1.ConditionAnswered, s.answered(line))
	escalated(line, edit)
	doubted(line, edit)
	edit.Put(v1alpha1.ConditionLineChecked, s.checked(line))
	// A missing Secret silences a notifier, not the hotline: it shows in Ready alone.
	if fault := s.secretFault(); fault != nil {
		verdict = *fault
	} else if fault := relayconfig.ReleaseFault(h, s.local.Spec.Desk); fault != nil && verdict.Fate == status.Done {
		verdict = *fault
	}
	return loop.Outcome{Verdict: verdict, Again: again}
}

// taken says whether a peer with which the link is up takes our messages, by its
// offer.
func (s *seen) taken(offer *relayreport.Offer) status.Fact {
	no := func(reason, message string) status.Fact {
		return status.Fact{Status: metav1.ConditionFalse, Reason: reason, Message: message}
	}
	switch {
	case offer.Version < 1:
		return no(v1alpha1.ReasonVersionMismatch, fmt.Sprintf(
			"%s speaks no version of the link protocol that we speak; see PeerAccepted of the PeerCERT, and use the telephone", s.peer.Name))
	case !offer.Hotline:
		return no(v1alpha1.ReasonNotOffered, fmt.Sprintf(
			"%s declares no hotline to us, so its relay turns our messages away; ask them for a Hotline whose peerRef is their PeerCERT about us", s.peer.Name))
	}
	return status.Fact{Status: metav1.ConditionTrue}
}

// verdict about our own side: the hotline is part of what our relay runs.
func (s *seen) verdict(h *v1alpha1.Hotline, edit *status.Editor, now time.Time) (status.Verdict, time.Duration) {
	if s.local == nil {
		return lookup.NoLocal(), 0
	}
	exists := func(string) bool { return s.peer != nil }
	usable := exists
	if s.view.Wanted != nil {
		usable = func(name string) bool {
			for _, p := range s.view.Wanted.Peers {
				if p.Name == name {
					return true
				}
			}
			return false
		}
	}
	if fault := relayconfig.HotlineFault(h, s.siblings, exists, usable); fault != nil {
		return *fault, 0
	}
	if s.view.Wanted != nil {
		if fault := relayconfig.TransitFault(h, usable); fault != nil {
			return *fault, 0
		}
	}
	return reports.Standing(s.view, relayconfig.WithTransit(relayconfig.Hotline(h), usable), func(c *config.Config) (config.Hotline, bool) {
		for _, line := range c.Hotlines {
			if line.Name == h.Name {
				return line, true
			}
		}
		return config.Hotline{}, false
	}, edit.Holds(v1alpha1.ConditionReady, metav1.ConditionTrue), now)
}

// line is what the relay says of a hotline, nil if it says nothing.
func (s *seen) line(name string) *relayreport.Hotline {
	if s.view.Report == nil || s.view.Contact != reports.Reached {
		return nil
	}
	for i := range s.view.Report.Hotlines {
		if line := &s.view.Report.Hotlines[i]; line.Name == name {
			return line
		}
	}
	return nil
}

// describe fills what the relay counts; while its report cannot be read, the
// last word stands.
func describe(h *v1alpha1.Hotline, line *relayreport.Hotline) {
	if line == nil {
		return
	}
	h.Status.Unacknowledged, h.Status.Drafts = &line.Unacknowledged, &line.Drafts
	h.Status.LastReceiptTime = status.Time(line.LastReceipt)
	describeChecks(h, line)
}

// reachable says whether messages get through: none waits too long for its
// receipt, and the link is up.
func (s *seen) reachable(line *relayreport.Hotline, up status.Fact) status.Fact {
	if line == nil && s.view.Contact == reports.Reached && up.Reason != v1alpha1.ReasonRevoked {
		return s.absent()
	}
	if line != nil && line.OverdueReceipts > 0 {
		message := fmt.Sprintf("messages of ours have no receipt of %s and their deadline has passed; they stay queued and are sent again; reach the peer by telephone", s.peer.Name)
		if line.Error != "" {
			message += "; the last attempt: " + line.Error
		}
		return status.Fact{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonReceiptOverdue, Message: message}
	}
	switch up.Status {
	case metav1.ConditionFalse:
		if line != nil && line.Via != "" && up.Reason != v1alpha1.ReasonNotOffered && up.Reason != v1alpha1.ReasonVersionMismatch && up.Reason != v1alpha1.ReasonRevoked {
			return s.byTransit(line, up)
		}
		switch up.Reason {
		case v1alpha1.ReasonNotOffered, v1alpha1.ReasonVersionMismatch:
			return up
		case v1alpha1.ReasonRevoked:
		default:
			up.Reason = v1alpha1.ReasonLinkDown
		}
		up.Message = fmt.Sprintf("PeerCERT %q is not connected: %s%s", s.peer.Name, up.Message, transitFailures(line))
		return up
	case metav1.ConditionTrue:
		return status.Fact{
			Status:  metav1.ConditionTrue,
			Reason:  v1alpha1.ReasonReceiptsInTime,
			Message: "the link is up, and no message waits for a receipt beyond its deadline",
		}
	}
	return up // Unknown, or not known yet
}

// byTransit: messages get through another peer.
func (s *seen) byTransit(line *relayreport.Hotline, up status.Fact) status.Fact {
	return status.Fact{
		Status: metav1.ConditionTrue,
		Reason: v1alpha1.ReasonByTransit,
		Message: fmt.Sprintf("no direct path to %s is up; messages go through PeerCERT %q, sealed, and no message waits for a receipt beyond its deadline; directly: %s",
			s.peer.Name, line.Via, up.Message),
	}
}

// transitFailures says why no message gets through others; empty where none is declared.
func transitFailures(line *relayreport.Hotline) string {
	if line == nil {
		return ""
	}
	var out strings.Builder
	for _, way := range line.Transit {
		switch way.State {
		case relayreport.TransitNotCarried:
			fmt.Fprintf(&out, "; through %s: it does not carry for us: ask it for transit Allowed in its PeerCERT about us", way.Peer)
		case relayreport.TransitNotAccepted:
			fmt.Fprintf(&out, "; through %s: the peer does not take it that way: ask for it under transit of its Hotline to us", way.Peer)
		case relayreport.TransitFailed:
			fmt.Fprintf(&out, "; through %s: %s", way.Peer, way.Error)
		case relayreport.TransitUnproven, relayreport.TransitReady:
		}
	}
	return out.String()
}

// answered says whether duty officers of the peer acknowledge in time.
func (s *seen) answered(line *relayreport.Hotline) status.Fact {
	switch {
	case line != nil && line.OverdueAcknowledgements > 0:
		return status.Fact{
			Status:  metav1.ConditionFalse,
			Reason:  v1alpha1.ReasonAcknowledgementOverdue,
			Message: fmt.Sprintf("messages of ours were not acknowledged by a duty officer of %s before their deadline; reach the peer by telephone", s.peer.Name),
		}
	case line != nil:
		if late, ok := unanswered(line, s.peer.Name); ok {
			return late
		}
		return status.Fact{
			Status:  metav1.ConditionTrue,
			Reason:  v1alpha1.ReasonAcknowledgedInTime,
			Message: "no message waits for an acknowledgement or an answer beyond its deadline",
		}
	}
	switch s.view.Contact {
	case reports.Reached:
		return s.absent()
	case reports.Undeployed, reports.Lost:
		return status.Fact{
			Status:  metav1.ConditionUnknown,
			Reason:  v1alpha1.ReasonRelayUnreachable,
			Message: "the operator cannot read the report of our relay; the hotline itself may go on",
		}
	case reports.Unseen, reports.Calling:
	}
	return status.Fact{Reason: v1alpha1.ReasonPending, Message: "waiting for the first report of our relay"}
}

// absent says why our relay, whose report can be read, says nothing of the hotline: it has none to
// a peer that we revoked.
func (s *seen) absent() status.Fact {
	if s.peer.Spec.State == v1alpha1.PeerRevoked {
		return status.Fact{
			Status:  metav1.ConditionUnknown,
			Reason:  v1alpha1.ReasonRevoked,
			Message: fmt.Sprintf("spec.state of PeerCERT %q is Revoked: nothing is sent or accepted, and what was queued stays queued", s.peer.Name),
		}
	}
	return status.Fact{
		Status:  metav1.ConditionUnknown,
		Reason:  v1alpha1.ReasonPending,
		Message: "our relay does not run this hotline yet; the condition Ready says why",
	}
}
