// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/relay/config"
)

func exportedService(name, service string, port int32, peers ...string) v1alpha1.SharedService {
	s := v1alpha1.SharedService{ObjectMeta: named(name, time.Minute), Spec: v1alpha1.SharedServiceSpec{
		Direction: v1alpha1.ServiceExport,
		Export:    &v1alpha1.ServiceExportSpec{ServiceRef: v1alpha1.ServiceReference{Name: service, Port: port}},
	}}
	for _, p := range peers {
		s.Spec.Export.PeerRefs = append(s.Spec.Export.PeerRefs, v1alpha1.PeerReference{Name: p})
	}
	return s
}

func importedService(name, from string, relayPort int32, age time.Duration) v1alpha1.SharedService {
	return v1alpha1.SharedService{
		ObjectMeta: named(name, age),
		Spec: v1alpha1.SharedServiceSpec{Direction: v1alpha1.ServiceImport, Import: &v1alpha1.ServiceImportSpec{
			PeerRef: v1alpha1.PeerReference{Name: from}, Port: 443,
		}},
		Status: v1alpha1.SharedServiceStatus{RelayPort: relayPort},
	}
}

func service(change func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "cert", Name: "misp"},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, ClusterIP: "10.0.0.1", Selector: map[string]string{"app": "misp"},
			Ports: []corev1.ServicePort{
				{Name: "sync", Port: 443, Protocol: corev1.ProtocolUDP, TargetPort: intstr.FromInt32(1)},
				{Name: "https", Port: 443, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(8443)},
			},
		},
	}
	if change != nil {
		change(s)
	}
	return s
}

func TestTheTargetOfAnExport(t *testing.T) {
	owned := func(apiVersion string) func(*corev1.Service) {
		return func(s *corev1.Service) {
			yes := true
			s.OwnerReferences = []metav1.OwnerReference{{APIVersion: apiVersion, Kind: "SharedService", Name: "x", Controller: &yes}}
		}
	}
	targetPort := func(port intstr.IntOrString) func(*corev1.Service) {
		return func(s *corev1.Service) { s.Spec.Ports[1].TargetPort = port }
	}
	headless := func(port intstr.IntOrString) func(*corev1.Service) {
		return func(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone; s.Spec.Ports[1].TargetPort = port }
	}
	selects := func(key, value string) func(*corev1.Service) {
		return func(s *corev1.Service) { s.Spec.Selector = map[string]string{key: value} }
	}
	misp := map[string]string{"app": "misp"}
	for name, tc := range map[string]struct {
		service *corev1.Service
		want    Target
		reason  string
	}{
		"the_port_of_the_pods_is_let_out":        {service(nil), Target{"misp.cert.svc:443", misp, intstr.FromInt32(8443)}, ""},
		"a_port_by_name_stays_a_name":            {service(targetPort(intstr.FromString("web"))), Target{"misp.cert.svc:443", misp, intstr.FromString("web")}, ""},
		"without_a_target_port_it_is_the_same":   {service(targetPort(intstr.IntOrString{})), Target{"misp.cert.svc:443", misp, intstr.FromInt32(443)}, ""},
		"a_protocol_that_is_left_out_is_TCP":     {service(func(s *corev1.Service) { s.Spec.Ports[1].Protocol = "" }), Target{"misp.cert.svc:443", misp, intstr.FromInt32(8443)}, ""},
		"nobody_translates_the_port_of_headless": {service(headless(intstr.FromInt32(8443))), Target{"misp.cert.svc:8443", misp, intstr.FromInt32(8443)}, ""},
		"headless_with_a_name":                   {service(headless(intstr.FromString("web"))), Target{}, v1alpha1.ReasonServiceUnusable},
		"a_Service_that_names_no_pods":           {service(func(s *corev1.Service) { s.Spec.Selector = nil }), Target{"misp.cert.svc:443", nil, intstr.FromInt32(8443)}, ""},
		"of_another_controller":                  {service(owned("apps.example/v1")), Target{"misp.cert.svc:443", misp, intstr.FromInt32(8443)}, ""},
		"none":                                   {nil, Target{}, v1alpha1.ReasonServiceNotFound},
		"only_UDP":                               {service(func(s *corev1.Service) { s.Spec.Ports = s.Spec.Ports[:1] }), Target{}, v1alpha1.ReasonServicePortNotFound},
		"another_port":                           {service(func(s *corev1.Service) { s.Spec.Ports[1].Port = 80 }), Target{}, v1alpha1.ReasonServicePortNotFound},
		"a_name_outside":                         {service(func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName }), Target{}, v1alpha1.ReasonServiceUnusable},
		"our_own_relay_by_a_label":               {service(selects("app.kubernetes.io/instance", "alfa")), Target{}, v1alpha1.ReasonServiceUnusable},
		"our_own_relay_by_its_pod":               {service(selects("statefulset.kubernetes.io/pod-name", "alfa-relay-0")), Target{}, v1alpha1.ReasonServiceUnusable},
		"our_own_relay":                          {service(owned("certlink.dev/v1alpha1")), Target{}, v1alpha1.ReasonServiceUnusable},
	} {
		t.Run(name, func(t *testing.T) {
			s := exportedService("misp", "misp", 443, "bravo")
			got, fault := TargetOf("alfa", &s, tc.service)
			if reason, message := reasonOf(fault)(); reason != tc.reason || reason != "" && !strings.Contains(message, `"misp"`) {
				t.Errorf("the fault is %q: %s; want %q", reason, message, tc.reason)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("target (-want +got):\n%s", diff)
			}
		})
	}
}

func TestServiceFaults(t *testing.T) {
	all := func(string) bool { return true }
	none := func(string) bool { return false }
	export := exportedService("misp", "misp", 443, "bravo", "charlie")
	good := Target{Address: "misp.cert.svc:443"}
	imported, waiting := importedService("tickets", "bravo", 20000, 0), importedService("tickets", "bravo", 0, 0)
	beyond := importedService("tickets", "bravo", 30000, 0)
	for name, tc := range map[string]struct {
		fault  *status.Verdict
		reason string
	}{
		"a_good_export":             {ServiceFault(&export, good, nil, all, all), ""},
		"an_export_of_nothing":      {ServiceFault(&export, Target{}, stalled(v1alpha1.ReasonServiceNotFound, "x"), all, all), v1alpha1.ReasonServiceNotFound},
		"an_export_to_nobody":       {ServiceFault(&export, good, nil, none, none), v1alpha1.ReasonPeerNotFound},
		"an_export_that_waits":      {ServiceFault(&export, good, nil, all, none), v1alpha1.ReasonPeerNotReady},
		"an_address_nobody_can_run": {ServiceFault(&export, Target{Address: "misp"}, nil, all, all), v1alpha1.ReasonSpecInvalid},
		"a_good_import":             {ServiceFault(&imported, Target{}, nil, all, all), ""},
		"an_import_from_nobody":     {ServiceFault(&imported, Target{}, nil, none, none), v1alpha1.ReasonPeerNotFound},
		"an_import_without_a_port":  {ServiceFault(&waiting, Target{}, nil, all, all), v1alpha1.ReasonProgressing},
		"a_port_that_is_not_one":    {ServiceFault(&beyond, Target{}, nil, all, all), v1alpha1.ReasonProgressing},
	} {
		t.Run(name, func(t *testing.T) {
			if reason, message := reasonOf(tc.fault)(); reason != tc.reason {
				t.Errorf("got %q: %s; want %q", reason, message, tc.reason)
			}
		})
	}
}

func TestServicesOfAConfiguration(t *testing.T) {
	cluster := importedService("chat", "charlie", 20001, time.Minute)
	cluster.Spec.Import.From, cluster.Spec.Import.Service = v1alpha1.FromCluster, "talk"
	limit := int32(7)
	cluster.Spec.Import.Limits = v1alpha1.ServiceLimits{MaxConnections: &limit, IdleSeconds: &limit}
	in := Input{
		Local:   local(),
		Peers:   []v1alpha1.PeerCERT{peer("bravo", "bravo.example", time.Minute), peer("charlie", "charlie.example", time.Minute)},
		Bundles: map[string]Bundle{"bravo": bundle(t, "bravo.example"), "charlie": bundle(t, "charlie.example")},
		Services: []v1alpha1.SharedService{
			exportedService("misp", "misp", 443, "charlie", "bravo", "nobody"),
			exportedService("misp-again", "misp", 443, "bravo"),
			exportedService("gone", "gone", 443, "bravo"),
			importedService("young", "bravo", 20002, time.Second),
			importedService("tickets", "bravo", 20002, time.Minute),
			importedService("portless", "bravo", 0, time.Minute),
			importedService("from-nobody", "nobody", 20003, time.Minute),
			cluster,
		},
		Targets: map[string]*corev1.Service{"misp": service(nil)},
	}
	c := Assemble(in)
	if _, err := config.Encode(c); err != nil {
		t.Fatalf("the relay would refuse it: %v", err)
	}
	wantExports := []config.ServiceExport{
		{Name: "misp", Target: "misp.cert.svc:443", Peers: []string{"bravo", "charlie"}},
		{Name: "misp-again", Target: "misp.cert.svc:443", Peers: []string{"bravo"}},
	}
	wantImports := []config.ServiceImport{
		{Name: "chat", Peer: "charlie", Service: "talk", Listen: ":20001", MaxConnections: 7, IdleSeconds: 7},
		{Name: "tickets", Peer: "bravo", Service: "tickets", Listen: ":20002"},
	}
	if diff := cmp.Diff(wantExports, c.ServiceExports); diff != "" {
		t.Errorf("exports (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantImports, c.ServiceImports); diff != "" {
		t.Errorf("imports: of two with one port the older counts (-want +got):\n%s", diff)
	}
	want := Network{
		Imports: []ImportPort{{20001, v1alpha1.FromCluster}, {20002, v1alpha1.FromNamespace}},
		Exports: []Target{{"misp.cert.svc:443", map[string]string{"app": "misp"}, intstr.FromInt32(8443)}},
	}
	if diff := cmp.Diff(want, NetworkOf(in, c)); diff != "" {
		t.Errorf("network (-want +got):\n%s", diff)
	}
}

// Imports come and go in random order, operators restart and lose what they
// reserved, and no living import ever has another's port or loses its own.
func TestAPortIsKeptForLife(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 7))
		living := map[string]*v1alpha1.SharedService{}
		reserved := map[string]int32{}
		held := map[string]int32{}
		siblings := func() []v1alpha1.SharedService {
			var list []v1alpha1.SharedService
			for _, s := range living {
				list = append(list, *s)
			}
			return list
		}
		for step := range 300 {
			name := fmt.Sprintf("s%d", random.IntN(40))
			switch s := living[name]; {
			case s == nil:
				made := importedService(name, "bravo", 0, -time.Duration(step)*time.Second)
				living[name] = &made
			case random.IntN(4) == 0:
				delete(living, name)
				delete(reserved, name)
				delete(held, name)
			default:
				port := ServicePort(s, siblings(), reserved)
				if before := held[name]; before != 0 && before != port {
					t.Fatalf("seed %d, step %d: %s moved from %d to %d", seed, step, name, before, port)
				}
				for other, taken := range held {
					if other != name && taken == port {
						t.Fatalf("seed %d, step %d: %s and %s have the port %d", seed, step, name, other, port)
					}
				}
				reserved[name], held[name] = port, port
				if random.IntN(2) == 0 {
					s.Status.RelayPort = port // the status was written, and the cache shows it
				}
			}
			if random.IntN(30) == 0 { // a restart: what was not written yet was told to nobody
				clear(reserved)
				for name := range held {
					if living[name].Status.RelayPort == 0 {
						delete(held, name)
					}
				}
			}
		}
	}
}

func TestPortsThatCollide(t *testing.T) {
	old, young := importedService("old", "bravo", 20005, time.Hour), importedService("young", "bravo", 20005, time.Minute)
	both := []v1alpha1.SharedService{old, young}
	if got := ServicePort(&old, both, nil); got != 20005 {
		t.Errorf("the older moved to %d", got)
	}
	if got := ServicePort(&young, both, nil); got == 20005 || !isServicePort(got) {
		t.Errorf("the younger has %d", got)
	}
	var full []v1alpha1.SharedService
	for port := int32(FirstServicePort); port <= LastServicePort; port++ {
		full = append(full, importedService(fmt.Sprintf("s%d", port), "bravo", port, time.Hour))
	}
	late := importedService("late", "bravo", 0, 0)
	if got := ServicePort(&late, full, nil); got != 0 {
		t.Errorf("a port that is taken was given again: %d", got)
	}
	if got := ServicePort(&late, full[1:], nil); got != FirstServicePort {
		t.Errorf("the only free port was not found: %d", got)
	}
}
