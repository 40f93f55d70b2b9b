// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sharedservice

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/internal/statuscheck"
	"github.com/certlink/certlink/relay/config"
	relayreport "github.com/certlink/certlink/relay/report"
)

var noon = time.Date(2026, 1, 2, 12, 0, 30, 0, time.UTC)

func shared(direction v1alpha1.ServiceDirection) *v1alpha1.SharedService {
	s := &v1alpha1.SharedService{
		ObjectMeta: metav1.ObjectMeta{Namespace: "cert", Name: "tickets", Generation: 1},
		Spec:       v1alpha1.SharedServiceSpec{Direction: direction},
	}
	bravo := v1alpha1.PeerReference{Name: "bravo"}
	if direction == v1alpha1.ServiceImport {
		s.Spec.Import = &v1alpha1.ServiceImportSpec{PeerRef: bravo, Port: 443}
		s.Status.RelayPort = 20007
		return s
	}
	s.Spec.Export = &v1alpha1.ServiceExportSpec{
		ServiceRef: v1alpha1.ServiceReference{Name: "otrs", Port: 443},
		PeerRefs:   []v1alpha1.PeerReference{{Name: "charlie"}, bravo},
	}
	return s
}

// world is a relay that runs the service, two links that are up and two peers
// that declare the other half.
func world(direction v1alpha1.ServiceDirection) *seen {
	cfg := &config.Config{
		Peers:          []config.Peer{{Name: "bravo"}, {Name: "charlie"}},
		ServiceExports: []config.ServiceExport{{Name: "tickets", Target: "otrs.cert.svc:443", Peers: []string{"bravo", "charlie"}}},
		ServiceImports: []config.ServiceImport{{Name: "tickets", Peer: "bravo", Service: "tickets", Listen: ":20007"}},
	}
	up := relayreport.Direction{State: relayreport.Up}
	r := &relayreport.Report{StartedAt: noon.Add(-time.Hour)}
	s := &seen{
		local: &v1alpha1.LocalCERT{},
		peers: map[string]*v1alpha1.PeerCERT{},
		view:  reports.View{Contact: reports.Reached, Report: r, Wanted: cfg, Live: cfg, Checksum: "x", WrittenAt: noon.Add(-time.Hour)},
	}
	for _, p := range cfg.Peers {
		s.peers[p.Name] = &v1alpha1.PeerCERT{ObjectMeta: metav1.ObjectMeta{Name: p.Name}, Spec: v1alpha1.PeerCERTSpec{
			State: v1alpha1.PeerActive, Endpoints: []v1alpha1.Endpoint{{Address: "relay." + p.Name + ".example:8443"}},
		}}
		r.Peers = append(r.Peers, relayreport.Peer{
			Name: p.Name, State: "Active", Outbound: up, Inbound: up,
			Paths: []relayreport.PathState{{Address: "relay." + p.Name + ".example:8443", State: relayreport.Up, Outbound: relayreport.Up, Inbound: relayreport.Up}},
			Offer: &relayreport.Offer{ReceivedAt: noon.Truncate(time.Minute), Version: 1, Versions: []int32{1}, State: "Active",
				ServiceExports: []string{"tickets"}, ServiceImports: []string{"tickets"}},
		})
	}
	r.Services = []relayreport.Service{{Name: "tickets", Import: direction == v1alpha1.ServiceImport, Listening: direction == v1alpha1.ServiceImport}}
	if direction == v1alpha1.ServiceImport {
		delete(s.peers, "charlie") // an import names one
	} else {
		s.service = &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "cert", Name: "otrs"}, Spec: corev1.ServiceSpec{
			ClusterIP: "10.0.0.1", Selector: map[string]string{"app": "otrs"}, Ports: []corev1.ServicePort{{Port: 443, TargetPort: intstr.FromInt32(8443)}},
		}}
	}
	return s
}

func run(t *testing.T, service *v1alpha1.SharedService, s *seen) (conditions map[string]string, messages string, again time.Duration) {
	t.Helper()
	edit := status.NewEditor(&service.Status.Conditions, service.Generation, noon)
	outcome := report(service, s, edit, noon)
	if edit.Conclude(outcome.Verdict) {
		service.Status.ObservedGeneration = service.Generation
	}
	if err := statuscheck.Check("SharedService", service.Generation, service.Status.ObservedGeneration, service.Status.Conditions); err != nil {
		t.Errorf("the status is not legal: %v", err)
	}
	conditions = map[string]string{}
	for _, c := range service.Status.Conditions {
		conditions[c.Type] = string(c.Status) + "/" + c.Reason
		messages += c.Message + "\n"
	}
	return conditions, messages, outcome.Again
}

// want are the three conditions, in this order.
type want struct{ ready, accepted, available string }

const (
	ready    = "True/Reconciled"
	offered  = "True/Offered"
	usable   = "True/Usable"
	noReport = "Unknown/RelayUnreachable"
	pending  = "Unknown/Pending"
)

func (w want) check(t *testing.T, service *v1alpha1.SharedService, s *seen, says string) {
	t.Helper()
	got, messages, _ := run(t, service, s)
	if got["Ready"] != w.ready || got["PeerAccepted"] != w.accepted || got["Available"] != w.available {
		t.Errorf("got %v, want %v\n%s", got, w, messages)
	}
	if !strings.Contains(messages, says) {
		t.Errorf("no message says %q:\n%s", says, messages)
	}
}

func TestImport(t *testing.T) {
	state := func(to v1alpha1.PeerState) func(*seen) {
		return func(s *seen) { s.peers["bravo"].Spec.State = to }
	}
	relay := func(change func(*relayreport.Report)) func(*seen) {
		return func(s *seen) { change(s.view.Report) }
	}
	for name, tc := range map[string]struct {
		change func(*seen)
		want   want
		says   string
	}{
		"all_is_well":         {func(*seen) {}, want{ready, offered, usable}, "port 20007"},
		"the_peer_is_missing": {func(s *seen) { delete(s.peers, "bravo") }, want{"False/PeerNotFound", "Unknown/PeerNotFound", "False/PeerNotFound"}, `"bravo"`},
		"suspended":           {state(v1alpha1.PeerSuspended), want{ready, offered, "False/Suspended"}, "is Suspended"},
		"drained":             {state(v1alpha1.PeerDrained), want{ready, offered, "False/Drained"}, "in their own time"},
		"revoked":             {state(v1alpha1.PeerRevoked), want{ready, "Unknown/Revoked", "False/Revoked"}, "was cut"},
		"the_peer_exports_nothing": {relay(func(r *relayreport.Report) { r.Peers[0].Offer.ServiceExports = nil }),
			want{ready, "False/NotOffered", "False/NotOffered"}, `bravo does not export a service "tickets" to us`},
		"the_peer_imports_it_too": {relay(func(r *relayreport.Report) { r.Peers[0].Offer.ServiceImports = nil }), want{ready, offered, usable}, ""},
		"no_offer_yet":            {relay(func(r *relayreport.Report) { r.Peers[0].Offer = nil }), want{ready, "Unknown/NoOffer", "Unknown/NoOffer"}, ""},
		"an_old_offer":            {relay(func(r *relayreport.Report) { r.Peers[0].Offer.ReceivedAt = noon.Add(-time.Hour) }), want{ready, "Unknown/OfferStale", "Unknown/OfferStale"}, ""},
		"the_peer_suspended_us":   {relay(func(r *relayreport.Report) { r.Peers[0].Offer.State = "Suspended" }), want{ready, offered, "False/PeerSuspendedUs"}, ""},
		"no_version_in_common":    {relay(func(r *relayreport.Report) { r.Peers[0].Offer.Version = 0 }), want{ready, offered, "False/VersionMismatch"}, ""},
		"the_link_is_down": {relay(func(r *relayreport.Report) {
			r.Peers[0].Outbound = relayreport.Direction{State: relayreport.Down, Cause: relayreport.CauseUnreachable, Message: "no way there"}
			r.Peers[0].Paths[0].State, r.Peers[0].Paths[0].Outbound, r.Peers[0].Paths[0].Inbound = relayreport.Down, relayreport.Down, relayreport.Down
		}), want{ready, offered, "False/LinkDown"}, "no way there"},
		"the_last_connection_failed": {relay(func(r *relayreport.Report) { r.Services[0].Error = "bravo: 502" }), want{ready, offered, "False/ConnectionFailed"}, "bravo: 502"},
		"the_port_is_not_open_yet":   {relay(func(r *relayreport.Report) { r.Services[0].Listening = false }), want{"False/Progressing", offered, "False/NotListening"}, ""},
		"the_port_cannot_be_opened": {relay(func(r *relayreport.Report) {
			r.Services[0] = relayreport.Service{Name: "tickets", Import: true, Error: "in use"}
		}),
			want{"False/NotListening", offered, "False/NotListening"}, "in use"},
		"an_export_of_that_name_is_another": {relay(func(r *relayreport.Report) { r.Services[0].Import = false }), want{"False/Progressing", offered, pending}, ""},
		"the_relay_has_not_heard_yet":       {func(s *seen) { s.view.Live, s.view.WrittenAt = &config.Config{}, noon; s.view.Report.Services = nil }, want{"False/Progressing", offered, pending}, ""},
		"the_relay_is_lost":                 {func(s *seen) { s.view.Contact = reports.Lost }, want{noReport, noReport, noReport}, ""},
		"no_LocalCERT":                      {func(s *seen) { s.local = nil }, want{"False/LocalCERTMissing", "Unknown/LocalCERTMissing", "False/LocalCERTMissing"}, ""},
		"the_operator_has_just_begun":       {func(s *seen) { s.view = reports.View{} }, want{pending, pending, pending}, ""},
		"the_name_is_taken": {func(s *seen) {
			s.standing = &status.Verdict{Fate: status.Stalled, Reason: v1alpha1.ReasonNameTaken, Message: "rename it"}
		}, want{"False/NameTaken", offered, "False/NameTaken"}, "rename it"},
	} {
		t.Run(name, func(t *testing.T) {
			s := world(v1alpha1.ServiceImport)
			tc.change(s)
			tc.want.check(t, shared(v1alpha1.ServiceImport), s, tc.says)
		})
	}
}

func TestExport(t *testing.T) {
	relay := func(change func(*relayreport.Report)) func(*seen) {
		return func(s *seen) { change(s.view.Report) }
	}
	states := func(bravo, charlie v1alpha1.PeerState) func(*seen) {
		return func(s *seen) { s.peers["bravo"].Spec.State, s.peers["charlie"].Spec.State = bravo, charlie }
	}
	for name, tc := range map[string]struct {
		change func(*seen)
		want   want
		says   string
	}{
		"all_is_well":              {func(*seen) {}, want{ready, offered, usable}, "bravo, charlie"},
		"one_peer_does_not_import": {relay(func(r *relayreport.Report) { r.Peers[1].Offer.ServiceImports = []string{"chat"} }), want{ready, "False/NotOffered", usable}, "charlie: no import"},
		"one_does_not_one_is_mute": {relay(func(r *relayreport.Report) { r.Peers[1].Offer.ServiceImports, r.Peers[0].Offer = nil, nil }), want{ready, "False/NotOffered", usable}, "charlie: no import"},
		"one_is_mute":              {relay(func(r *relayreport.Report) { r.Peers[0].Offer = nil }), want{ready, "Unknown/NoOffer", usable}, "bravo: "},
		"one_is_missing":           {func(s *seen) { delete(s.peers, "charlie") }, want{"False/PeerNotFound", "Unknown/PeerNotFound", usable}, `"charlie"`},
		"all_are_missing":          {func(s *seen) { clear(s.peers) }, want{"False/PeerNotFound", "Unknown/PeerNotFound", "False/PeerNotFound"}, ""},
		"one_is_not_usable": {func(s *seen) { s.view.Wanted = &config.Config{Peers: []config.Peer{{Name: "bravo"}}} },
			want{"False/PeerNotReady", offered, usable}, `"charlie"`},
		"the_Service_cannot_be_reached": {relay(func(r *relayreport.Report) { r.Services[0].Error = "connection refused" }), want{ready, offered, "False/ConnectionFailed"}, `Service "otrs": connection refused`},
		"the_Service_is_gone": {func(s *seen) { s.service = nil },
			want{"False/ServiceNotFound", offered, "False/ServiceNotFound"}, `no Service "otrs"`},
		"the_port_is_gone":            {func(s *seen) { s.service.Spec.Ports = nil }, want{"False/ServicePortNotFound", offered, "False/ServicePortNotFound"}, "no TCP port 443"},
		"it_leads_outside_by_name":    {func(s *seen) { s.service.Spec.Type = corev1.ServiceTypeExternalName }, want{"False/ServiceUnusable", offered, "False/ServiceUnusable"}, "ExternalName"},
		"it_names_no_pods":            {func(s *seen) { s.service.Spec.Selector = nil }, want{ready, offered, usable}, "NetworkPolicy of your own"},
		"one_of_two_is_suspended":     {states(v1alpha1.PeerSuspended, v1alpha1.PeerActive), want{ready, offered, usable}, ""},
		"both_are_suspended":          {states(v1alpha1.PeerSuspended, v1alpha1.PeerSuspended), want{ready, offered, "False/Suspended"}, "bravo,charlie is Suspended"},
		"both_are_drained":            {states(v1alpha1.PeerDrained, v1alpha1.PeerDrained), want{ready, offered, "False/Drained"}, ""},
		"both_are_revoked":            {states(v1alpha1.PeerRevoked, v1alpha1.PeerRevoked), want{ready, "Unknown/Revoked", "False/Revoked"}, ""},
		"each_is_held_in_its_own_way": {states(v1alpha1.PeerRevoked, v1alpha1.PeerDrained), want{ready, "Unknown/Revoked", "False/Suspended"}, "in its own way"},
		"a_link_that_is_down_is_theirs": {relay(func(r *relayreport.Report) {
			r.Peers[0].Outbound.State, r.Peers[0].Inbound.State = relayreport.Down, relayreport.Down
		}), want{ready, offered, usable}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := world(v1alpha1.ServiceExport)
			tc.change(s)
			tc.want.check(t, shared(v1alpha1.ServiceExport), s, tc.says)
		})
	}
}

func TestDescribe(t *testing.T) {
	imported := shared(v1alpha1.ServiceImport)
	run(t, imported, world(v1alpha1.ServiceImport))
	if st := imported.Status; st.Address != "tickets.cert.svc:443" || st.Peers != "bravo" || st.RelayPort != 20007 || st.Refused != nil {
		t.Errorf("unexpected status of an import: %+v", st)
	}
	taken := shared(v1alpha1.ServiceImport)
	s := world(v1alpha1.ServiceImport)
	s.standing = &status.Verdict{Fate: status.Stalled, Reason: v1alpha1.ReasonNameTaken, Message: "rename it"}
	if run(t, taken, s); taken.Status.Address != "" {
		t.Errorf("the address %q is somebody else's", taken.Status.Address)
	}
	exported := shared(v1alpha1.ServiceExport)
	s = world(v1alpha1.ServiceExport)
	s.view.Report.Services[0].Refused = 10
	if run(t, exported, s); exported.Status.Address != "otrs.cert.svc:443" || exported.Status.Peers != "bravo,charlie" || *exported.Status.Refused != 10 {
		t.Errorf("unexpected status of an export: %+v", exported.Status)
	}
}

func TestManyPeersFit(t *testing.T) {
	var names []string
	for range 64 {
		names = append(names, strings.Repeat("p", 63))
	}
	if got := joined(names); len(got) > 256 || !strings.HasSuffix(got, "p,..") {
		t.Errorf("got %q", got)
	}
}

func TestPortsAreReservedUntilTheyShow(t *testing.T) {
	var p ports
	a, b := shared(v1alpha1.ServiceImport), shared(v1alpha1.ServiceImport)
	a.Name, b.Name = "a", "b"
	a.Status.RelayPort, b.Status.RelayPort = 0, 0
	first := p.assign(a, nil)
	// The caches do not show a yet, and b would take the same port.
	taken := map[int32]bool{first: true}
	for range 100 {
		b.Name += "b"
		port := p.assign(b, nil)
		if taken[port] {
			t.Fatalf("%s has the port of another", b.Name)
		}
		taken[port] = true
	}
	if again := p.assign(a, nil); again != first {
		t.Errorf("a moved from %d to %d", first, again)
	}
	p.forget(types.NamespacedName{Namespace: "cert", Name: "a"})
	if _, there := p.given["cert"]["a"]; there {
		t.Error("what is gone is remembered")
	}
}
