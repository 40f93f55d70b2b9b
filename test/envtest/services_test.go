// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/relay/report"
)

func importOf(namespace, name, service string, port int32) *v1alpha1.SharedService {
	return &v1alpha1.SharedService{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.SharedServiceSpec{Direction: v1alpha1.ServiceImport, Import: &v1alpha1.ServiceImportSpec{
			PeerRef: v1alpha1.PeerReference{Name: "bravo"}, Service: service, Port: port,
		}},
	}
}

func exportOf(namespace, name, service string, port int32) *v1alpha1.SharedService {
	return &v1alpha1.SharedService{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.SharedServiceSpec{Direction: v1alpha1.ServiceExport, Export: &v1alpha1.ServiceExportSpec{
			ServiceRef: v1alpha1.ServiceReference{Name: service, Port: port}, PeerRefs: []v1alpha1.PeerReference{{Name: "bravo"}},
		}},
	}
}

// relaySays has the played relay report services, and bravo offer some.
func (n *nation) relaySays(offer *report.Offer, services ...report.Service) {
	n.relay.change(func(r *report.Report) {
		linkUp(r)
		r.Peers[0].Offer = offer
		r.Services = services
	})
}

func offered(exports, imports []string) *report.Offer {
	return &report.Offer{ReceivedAt: time.Now(), Versions: []int32{1}, Version: 1, State: "Active", ServiceExports: exports, ServiceImports: imports}
}

func (n *nation) create(t *testing.T, o client.Object) {
	t.Helper()
	if err := n.Client.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// policy of the relay's pods.
func (n *nation) policy(t *testing.T) networkingv1.NetworkPolicySpec {
	t.Helper()
	var p networkingv1.NetworkPolicy
	if err := n.Client.Get(t.Context(), client.ObjectKey{Namespace: n.Namespace, Name: "alfa-relay"}, &p); err != nil {
		t.Fatal(err)
	}
	return p.Spec
}

// lets tells whether the relay's policy has a rule about pods and one port.
func lets(pods []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort, app string, port intstr.IntOrString) bool {
	if len(pods) != 1 || pods[0].PodSelector == nil || len(ports) != 1 || *ports[0].Port != port {
		return false
	}
	return pods[0].PodSelector.MatchLabels["app"] == app
}

func TestAnImportedService(t *testing.T) {
	n := alfa(t)
	var set appsv1.StatefulSet
	relay := client.ObjectKey{Namespace: n.Namespace, Name: "alfa-relay"}
	if err := n.Client.Get(t.Context(), relay, &set); err != nil {
		t.Fatal(err)
	}
	generation := set.Generation
	tickets := importOf(n.Namespace, "bravo-tickets", "tickets", 8443)
	n.create(t, tickets)
	n.expect(t, tickets, "Ready=False/Progressing", "Reconciling=True")

	t.Run("becomes_a_Service_before_a_port_of_the_relay", func(t *testing.T) {
		port := tickets.Status.RelayPort
		if port < 20000 || port > 29999 || tickets.Status.Address != "bravo-tickets."+n.Namespace+".svc:8443" || tickets.Status.Peers != "bravo" {
			t.Fatalf("unexpected status: %+v", tickets.Status)
		}
		var service corev1.Service
		if err := n.Client.Get(t.Context(), client.ObjectKeyFromObject(tickets), &service); err != nil {
			t.Fatal(err)
		}
		if p := service.Spec.Ports[0]; p.Port != 8443 || p.TargetPort.IntVal != port || service.Spec.Type != corev1.ServiceTypeClusterIP || !metav1.IsControlledBy(&service, tickets) {
			t.Errorf("unexpected Service: %+v, owners %v", service.Spec, service.OwnerReferences)
		}
		for label, value := range service.Spec.Selector {
			if set.Spec.Template.Labels[label] != value {
				t.Errorf("the Service selects %s=%s, the relay's pods have %v", label, value, set.Spec.Template.Labels)
			}
		}
		eventually(t, "the relay has the import", func() error {
			live := n.relay.live().ServiceImports
			if len(live) != 1 || live[0].Listen != ":"+strconv.Itoa(int(port)) || live[0].Service != "tickets" || live[0].Peer != "bravo" {
				return fmt.Errorf("it has %+v", live)
			}
			return nil
		})
		if !slices.ContainsFunc(n.policy(t).Ingress, func(r networkingv1.NetworkPolicyIngressRule) bool {
			return lets(r.From, r.Ports, "", intstr.FromInt32(port))
		}) {
			t.Errorf("the relay's policy does not let pods in: %+v", n.policy(t).Ingress)
		}
	})
	t.Run("is_available_when_both_sides_declare_it", func(t *testing.T) {
		open := report.Service{Name: "bravo-tickets", Import: true, Listening: true}
		n.relaySays(offered(nil, nil), open)
		n.expect(t, tickets, "Ready=True/Reconciled", "PeerAccepted=False/NotOffered", "Available=False/NotOffered")
		n.relaySays(offered([]string{"tickets"}, nil), open)
		n.expect(t, tickets, "Ready=True/Reconciled", "PeerAccepted=True/Offered", "Available=True/Usable", "!Reconciling")
		failed := open
		failed.Error = "the exporter could not reach its Service"
		n.relaySays(offered([]string{"tickets"}, nil), failed)
		n.expect(t, tickets, "Ready=True", "Available=False/ConnectionFailed")
		n.relaySays(offered([]string{"tickets"}, nil), open)
		n.edit(t, n.peer, func() { n.peer.Spec.State = v1alpha1.PeerDrained })
		n.expect(t, tickets, "Ready=True", "Available=False/Drained")
		n.edit(t, n.peer, func() { n.peer.Spec.State = v1alpha1.PeerActive })
		n.expect(t, tickets, "Ready=True", "Available=True")
	})
	t.Run("does_not_restart_the_relay", func(t *testing.T) {
		if err := n.Client.Get(t.Context(), relay, &set); err != nil || set.Generation != generation {
			t.Errorf("the StatefulSet has generation %d after %d: %v", set.Generation, generation, err)
		}
	})
	t.Run("a_Service_changed_by_hand_is_put_right", func(t *testing.T) {
		var service corev1.Service
		service.Namespace, service.Name = n.Namespace, "bravo-tickets"
		n.edit(t, &service, func() { service.Spec.Ports[0].TargetPort = intstr.FromInt32(1) })
		eventually(t, "it is put right", func() error {
			if err := n.Client.Get(t.Context(), client.ObjectKeyFromObject(&service), &service); err != nil {
				return err
			}
			if got := service.Spec.Ports[0].TargetPort.IntVal; got != tickets.Status.RelayPort {
				return fmt.Errorf("it leads to %d", got)
			}
			return nil
		})
	})
	n.quiet(t, n.operator)
}

func TestPortsOfImportsAreKept(t *testing.T) {
	n := alfa(t)
	var all []*v1alpha1.SharedService
	for i := range 12 {
		s := importOf(n.Namespace, fmt.Sprintf("service-%d", i), "", 80)
		n.create(t, s)
		all = append(all, s)
	}
	ports := func() map[string]int32 {
		got := map[string]int32{}
		eventually(t, "every import has a port", func() error {
			taken := map[int32]string{}
			for _, s := range all {
				if err := n.Client.Get(t.Context(), client.ObjectKeyFromObject(s), s); err != nil {
					return err
				}
				if s.Status.RelayPort == 0 {
					return fmt.Errorf("%s has none", s.Name)
				}
				if other := taken[s.Status.RelayPort]; other != "" {
					t.Fatalf("%s and %s have the port %d", s.Name, other, s.Status.RelayPort)
				}
				taken[s.Status.RelayPort], got[s.Name] = s.Name, s.Status.RelayPort
			}
			return nil
		})
		return got
	}
	before := ports()
	for _, s := range all[:4] {
		if err := n.Client.Delete(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	all = all[4:]
	n.operator.stop()
	n.operator = runOperator(t, n.server, n.relay.address)
	late := importOf(n.Namespace, "a-late-one", "", 80)
	n.create(t, late)
	all = append(all, late)
	for name, port := range ports() {
		if name != late.Name && before[name] != port {
			t.Errorf("%s moved from %d to %d", name, before[name], port)
		}
	}
	eventually(t, "the relay has the imports that are left", func() error {
		if got := len(n.relay.live().ServiceImports); got != len(all) {
			return fmt.Errorf("it has %d of %d", got, len(all))
		}
		return nil
	})
}

func TestAnExportedService(t *testing.T) {
	n := alfa(t)
	n.relaySays(offered(nil, []string{"misp"}), report.Service{Name: "misp"})
	misp := exportOf(n.Namespace, "misp", "misp-web", 443)
	n.create(t, misp)
	n.expect(t, misp, "Ready=False/ServiceNotFound", "Stalled=True", "Available=False/ServiceNotFound", "PeerAccepted=True/Offered")

	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: n.Namespace, Name: "misp-web", Labels: map[string]string{"a": "b"}},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": "misp"},
			Ports:    []corev1.ServicePort{{Name: "https", Port: 443, TargetPort: intstr.FromString("web")}},
		},
	}
	n.create(t, service)
	n.expect(t, misp, "Ready=True/Reconciled", "Available=True/Usable", "!Stalled")
	if misp.Status.Address != "misp-web."+n.Namespace+".svc:443" || misp.Status.RelayPort != 0 {
		t.Errorf("unexpected status: %+v", misp.Status)
	}
	letsOut := func(port intstr.IntOrString) {
		t.Helper()
		eventually(t, "the relay is let out to port "+port.String(), func() error {
			if !slices.ContainsFunc(n.policy(t).Egress, func(r networkingv1.NetworkPolicyEgressRule) bool { return lets(r.To, r.Ports, "misp", port) }) {
				return fmt.Errorf("the policy has %+v", n.policy(t).Egress)
			}
			return nil
		})
	}
	letsOut(intstr.FromString("web"))

	t.Run("follows_the_Service", func(t *testing.T) {
		n.edit(t, service, func() { service.Spec.Ports[0].TargetPort = intstr.FromInt32(8443) })
		letsOut(intstr.FromInt32(8443))
		n.edit(t, service, func() { service.Spec.Ports[0].Port = 8080 })
		n.expect(t, misp, "Ready=False/ServicePortNotFound", "Stalled=True")
		n.edit(t, service, func() { service.Spec.Ports[0].Port, service.Spec.Selector = 443, nil })
		n.expect(t, misp, "Ready=True", "!Stalled")
		if m := message(misp, "Ready"); !strings.Contains(m, "NetworkPolicy of your own") {
			t.Errorf("unexpected message %q", m)
		}
		eventually(t, "nothing is opened for a Service that names no pods", func() error {
			if got := n.policy(t).Egress; len(got) != 2 { // DNS, and the peers' ports
				return fmt.Errorf("the policy has %+v", got)
			}
			return nil
		})
	})
	t.Run("ends_with_the_Service", func(t *testing.T) {
		if err := n.Client.Delete(t.Context(), service); err != nil {
			t.Fatal(err)
		}
		n.expect(t, misp, "Ready=False/ServiceNotFound", "Available=False/ServiceNotFound")
		eventually(t, "the relay has no export", func() error {
			if got := n.relay.live().ServiceExports; len(got) > 0 {
				return fmt.Errorf("it has %+v", got)
			}
			return nil
		})
	})
	t.Run("a_relay_is_not_exported", func(t *testing.T) {
		inside := exportOf(n.Namespace, "inside", "alfa-relay-local", 9443)
		n.create(t, inside)
		n.expect(t, inside, "Ready=False/ServiceUnusable", "Stalled=True")
	})
}

func TestAServiceOfOthersIsNotTakenOver(t *testing.T) {
	n := alfa(t)
	theirs := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: n.Namespace, Name: "tickets"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	}
	n.create(t, theirs)
	tickets := importOf(n.Namespace, "tickets", "", 443)
	n.create(t, tickets)
	n.expect(t, tickets, "Ready=False/NameTaken", "Stalled=True")
	if m := message(tickets, "Ready"); !strings.Contains(m, `Service "tickets"`) || tickets.Status.Address != "" {
		t.Errorf("unexpected message %q, address %q", m, tickets.Status.Address)
	}
	var now corev1.Service
	if err := n.Client.Get(t.Context(), client.ObjectKeyFromObject(theirs), &now); err != nil || now.ResourceVersion != theirs.ResourceVersion {
		t.Errorf("it was changed: %v", err)
	}
	if err := n.Client.Delete(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	n.relaySays(offered([]string{"tickets"}, nil), report.Service{Name: "tickets", Import: true, Listening: true})
	n.expect(t, tickets, "Ready=True", "Available=True", "!Stalled")
	eventually(t, "the Service is ours", func() error {
		if err := n.Client.Get(t.Context(), client.ObjectKeyFromObject(theirs), &now); err != nil {
			return err
		}
		if !metav1.IsControlledBy(&now, tickets) {
			return errors.New("it is not")
		}
		return nil
	})
	if len(tickets.Finalizers) > 0 {
		t.Errorf("there are finalizers: %v", tickets.Finalizers)
	}
}
