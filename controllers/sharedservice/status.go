// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sharedservice

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/lookup"
	"github.com/certlink/certlink/controllers/internal/loop"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/relay/config"
	relayreport "github.com/certlink/certlink/relay/report"
)

// seen is everything that the status of a SharedService depends on.
type seen struct {
	local    *v1alpha1.LocalCERT
	peers    map[string]*v1alpha1.PeerCERT // those named, as far as they exist
	service  *corev1.Service               // that an export names, nil if there is none
	siblings []v1alpha1.SharedService      // of an import
	view     reports.View
	// standing is why the Service of an import could not be made, nil if it was.
	standing *status.Verdict
}

// report writes what was seen into the status. It is pure.
func report(s *v1alpha1.SharedService, seen *seen, edit *status.Editor, now time.Time) loop.Outcome {
	target, fault := relayconfig.Target{}, (*status.Verdict)(nil)
	if s.Spec.Direction == v1alpha1.ServiceExport {
		localCERT := ""
		if seen.local != nil {
			localCERT = seen.local.Name
		}
		target, fault = relayconfig.TargetOf(localCERT, s, seen.service)
	}
	verdict, again := seen.verdict(s, target, fault, edit, now)
	seen.describe(s, target)
	accepted, later := seen.accepted(s, now)
	edit.Put(v1alpha1.ConditionPeerAccepted, accepted)
	again = lookup.Soonest(again, later)
	available, later := seen.available(s, accepted, verdict, now)
	edit.Put(v1alpha1.ConditionAvailable, available)
	return loop.Outcome{Verdict: verdict, Again: lookup.Soonest(again, later)}
}

// verdict about our own side: the service is part of what our relay runs, and
// where it is an import, its Service is there and its port is open.
func (s *seen) verdict(service *v1alpha1.SharedService, target relayconfig.Target, fault *status.Verdict, edit *status.Editor, now time.Time) (status.Verdict, time.Duration) {
	if s.local == nil {
		return lookup.NoLocal(), 0
	}
	if s.standing != nil {
		return *s.standing, slow
	}
	usable := s.usable()
	if fault := relayconfig.ServiceFault(service, target, fault, s.exists, usable); fault != nil {
		return *fault, 0
	}
	wasReady := edit.Holds(v1alpha1.ConditionReady, metav1.ConditionTrue)
	if service.Spec.Direction == v1alpha1.ServiceImport {
		verdict, again := reports.Standing(s.view, relayconfig.ServiceImport(service), func(c *config.Config) (config.ServiceImport, bool) {
			return find(c.ServiceImports, func(m config.ServiceImport) bool { return m.Name == service.Name })
		}, wasReady, now)
		if verdict.Fate == status.Done {
			verdict = s.listening(service, wasReady)
		}
		return verdict, again
	}
	verdict, again := reports.Standing(s.view, relayconfig.ServiceExport(service, target, usable), func(c *config.Config) (config.ServiceExport, bool) {
		return find(c.ServiceExports, func(e config.ServiceExport) bool { return e.Name == service.Name })
	}, wasReady, now)
	if verdict.Fate == status.Done && len(target.Selector) == 0 {
		verdict.Message += fmt.Sprintf("; Service %q names no pods: let our relay out to its EndpointSlices' addresses with a NetworkPolicy of your own", s.service.Name)
	}
	return verdict, again
}

// listening says whether the relay's port of an import is open. The relay runs
// the import.
func (s *seen) listening(service *v1alpha1.SharedService, wasReady bool) status.Verdict {
	said := s.said(service)
	switch {
	case said != nil && said.Listening:
		return status.Verdict{Fate: status.Done, Reason: v1alpha1.ReasonReconciled,
			Message: "our relay runs this configuration, and its Service leads to port " + fmt.Sprint(service.Status.RelayPort)}
	case said != nil && said.Error != "":
		return status.Verdict{Fate: status.Working, Reason: v1alpha1.ReasonNotListening,
			Message: fmt.Sprintf("our relay cannot open its port %d: %s", service.Status.RelayPort, said.Error)}
	case wasReady && said == nil:
		return status.Verdict{Fate: status.Same, Reason: v1alpha1.ReasonPending, Message: "our relay says nothing of this service yet"}
	}
	return status.Verdict{Fate: status.Working, Reason: v1alpha1.ReasonProgressing, Message: "our relay has not opened its port yet"}
}

// describe fills the part of the status that is no condition.
func (s *seen) describe(service *v1alpha1.SharedService, target relayconfig.Target) {
	st := &service.Status
	st.Peers = joined(lookup.ServicePeers(service))
	st.Address = target.Address
	if service.Spec.Direction == v1alpha1.ServiceExport {
		if said := s.said(service); said != nil && s.view.Contact == reports.Reached {
			st.Refused = &said.Refused
		}
		return
	}
	if s.local != nil && s.standing == nil && st.RelayPort != 0 {
		st.Address = relayconfig.ServiceAddress(service.Namespace, service.Name, service.Spec.Import.Port)
	}
}

// joined names that fit into status.peers; where they do not all, it says so.
func joined(names []string) string {
	const most = 256
	slices.Sort(names)
	text := strings.Join(names, ",")
	if len(text) <= most {
		return text
	}
	cut := strings.LastIndexByte(text[:most-3], ',')
	return text[:cut] + ",.."
}

// said is what the relay says of a service, nil if it says nothing.
func (s *seen) said(service *v1alpha1.SharedService) *relayreport.Service {
	if s.view.Report == nil {
		return nil
	}
	for i := range s.view.Report.Services {
		said := &s.view.Report.Services[i]
		if said.Name == service.Name && said.Import == (service.Spec.Direction == v1alpha1.ServiceImport) {
			return said
		}
	}
	return nil
}

func (s *seen) exists(peer string) bool { return s.peers[peer] != nil }

// usable tells which peers are part of the configuration. Until this operator
// has assembled one it cannot tell, and those that exist count.
func (s *seen) usable() func(string) bool {
	if s.view.Wanted == nil {
		return s.exists
	}
	names := map[string]bool{}
	for _, p := range s.view.Wanted.Peers {
		names[p.Name] = true
	}
	return func(peer string) bool { return names[peer] }
}

func find[T any](list []T, match func(T) bool) (T, bool) {
	if i := slices.IndexFunc(list, match); i >= 0 {
		return list[i], true
	}
	var none T
	return none, false
}
