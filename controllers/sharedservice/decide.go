// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sharedservice

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/link"
	"github.com/certlink/certlink/controllers/internal/lookup"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/controllers/internal/status"
	relayreport "github.com/certlink/certlink/relay/report"
)

// accepted says whether the signed offers of the peers declare the other half.
// One peer that does not makes it False; else one that we do not know of makes it
// Unknown. The duration says when to look again.
func (s *seen) accepted(service *v1alpha1.SharedService, now time.Time) (status.Fact, time.Duration) {
	var lacking, waiting []string
	var silent status.Fact
	var again time.Duration
	if s.local == nil {
		none := lookup.NoLocal()
		return unknown(none.Reason, none.Message), 0
	}
	names := lookup.ServicePeers(service)
	slices.Sort(names)
	for _, name := range names {
		p := s.peers[name]
		if p == nil {
			waiting, silent = append(waiting, name), unknown(v1alpha1.ReasonPeerNotFound, fmt.Sprintf("there is no PeerCERT %q", name))
			continue
		}
		offer, fact, later := link.Offer(s.view, p, now)
		again = lookup.Soonest(again, later)
		switch {
		case offer == nil:
			waiting, silent = append(waiting, name), fact
		case !declares(offer, service):
			lacking = append(lacking, name)
		}
	}
	switch {
	case len(lacking) > 0:
		return no(v1alpha1.ReasonNotOffered, ask(service, lacking)), again
	case len(waiting) > 0:
		silent.Message = strings.Join(waiting, ", ") + ": " + silent.Message
		return silent, again
	}
	return yes(v1alpha1.ReasonOffered, "the other half is declared in the signed offer of "+strings.Join(names, ", ")), again
}

// declares tells whether an offer has the other half of a service.
func declares(o *relayreport.Offer, s *v1alpha1.SharedService) bool {
	if s.Spec.Direction == v1alpha1.ServiceImport {
		return slices.Contains(o.ServiceExports, relayconfig.ImportedName(s))
	}
	return slices.Contains(o.ServiceImports, s.Name)
}

// ask says what to ask of the peers whose offers lack the other half.
func ask(s *v1alpha1.SharedService, peers []string) string {
	if s.Spec.Direction == v1alpha1.ServiceImport {
		return fmt.Sprintf("%s does not export a service %q to us; compare spec.import.service with the name of their SharedService, and ask them to add us to its peerRefs",
			peers[0], relayconfig.ImportedName(s))
	}
	return fmt.Sprintf("%s: no import of our service %q is declared there; ask them for a SharedService with direction Import and this service", strings.Join(peers, ", "), s.Name)
}

// available says whether a connection can be made, as far as our side can see.
func (s *seen) available(service *v1alpha1.SharedService, accepted status.Fact, verdict status.Verdict, now time.Time) (status.Fact, time.Duration) {
	if s.local == nil {
		return no(verdict.Reason, verdict.Message), 0
	}
	if len(s.peers) == 0 {
		return no(v1alpha1.ReasonPeerNotFound, "the namespace has none of the PeerCERTs that this service names"), 0
	}
	if fact, held := s.held(service); held {
		return fact, 0
	}
	if fact, blind := link.Blind(s.view); blind {
		return fact, 0
	}
	if verdict.Fate == status.Stalled && verdict.Reason != v1alpha1.ReasonPeerNotFound {
		return no(verdict.Reason, "see the condition Ready: "+verdict.Message), 0
	}
	said := s.said(service)
	if said == nil {
		return unknown(v1alpha1.ReasonPending, "our relay does not run this service yet; the condition Ready says why"), 0
	}
	if service.Spec.Direction == v1alpha1.ServiceExport {
		return exported(service, said), 0
	}
	if !said.Listening {
		return no(v1alpha1.ReasonNotListening, "our relay does not listen for this service; the condition Ready says why"), 0
	}
	return s.imported(service, said, accepted, now)
}

// held says that we hold a service back by the state of its peers.
func (s *seen) held(service *v1alpha1.SharedService) (status.Fact, bool) {
	var states []v1alpha1.PeerState
	for _, p := range s.peers {
		if p.Spec.State == v1alpha1.PeerActive || p.Spec.State == "" {
			return status.Fact{}, false
		}
		states = append(states, p.Spec.State)
	}
	if len(states) == 0 {
		return status.Fact{}, false
	}
	slices.Sort(states)
	states = slices.Compact(states)
	if len(states) > 1 {
		return no(v1alpha1.ReasonSuspended, "every peer of this service is held back, each in its own way; see spec.state of the PeerCERTs"), true
	}
	names := joined(lookup.ServicePeers(service))
	switch states[0] {
	case v1alpha1.PeerRevoked:
		return no(v1alpha1.ReasonRevoked, fmt.Sprintf("spec.state of PeerCERT %s is Revoked: every connection was cut, and none is made", names)), true
	case v1alpha1.PeerDrained:
		return no(v1alpha1.ReasonDrained, fmt.Sprintf("spec.state of PeerCERT %s is Drained: open connections end in their own time, and none is made", names)), true
	}
	return no(v1alpha1.ReasonSuspended, fmt.Sprintf("spec.state of PeerCERT %s is Suspended: no connection is made", names)), true
}

// exported judges a service of ours that the relay offers.
func exported(service *v1alpha1.SharedService, said *relayreport.Service) status.Fact {
	if said.Error != "" {
		return no(v1alpha1.ReasonConnectionFailed, fmt.Sprintf("our relay could not connect to Service %q: %s", service.Spec.Export.ServiceRef.Name, said.Error))
	}
	return yes(v1alpha1.ReasonUsable, "the named peers may connect, and no connection to our Service has failed since the last that was made")
}

// imported judges a service of a peer: the link, its offer, the last connection.
func (s *seen) imported(service *v1alpha1.SharedService, said *relayreport.Service, accepted status.Fact, now time.Time) (status.Fact, time.Duration) {
	p := s.peers[service.Spec.Import.PeerRef.Name]
	up, again := link.Connected(s.view, p, now)
	switch up.Status {
	case metav1.ConditionTrue:
	case metav1.ConditionFalse:
		return no(v1alpha1.ReasonLinkDown, fmt.Sprintf("PeerCERT %q is not connected: %s", p.Name, up.Message)), again
	default:
		return up, again
	}
	if accepted.Status != metav1.ConditionTrue {
		return accepted, again
	}
	if offer, _, later := link.Offer(s.view, p, now); offer != nil {
		again = lookup.Soonest(again, later)
		if fact, withheld := link.Withheld(offer); withheld {
			return fact, again
		}
		if offer.Version == 0 {
			return no(v1alpha1.ReasonVersionMismatch, fmt.Sprintf("%s speaks no version of the link protocol that we speak; see PeerAccepted of the PeerCERT", p.Name)), again
		}
	}
	if said.Error != "" {
		return no(v1alpha1.ReasonConnectionFailed, "the last connection could not be made: "+said.Error), again
	}
	return yes(v1alpha1.ReasonUsable, "the link is up, the peer offers the service, and no connection has failed since the last that was made"), again
}

func yes(reason, message string) status.Fact {
	return status.Fact{Status: metav1.ConditionTrue, Reason: reason, Message: message}
}

func no(reason, message string) status.Fact {
	return status.Fact{Status: metav1.ConditionFalse, Reason: reason, Message: message}
}

func unknown(reason, message string) status.Fact {
	return status.Fact{Status: metav1.ConditionUnknown, Reason: reason, Message: message}
}
