// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"net"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/relay/config"
)

// ConfigMap holds the relay's configuration.
func ConfigMap(l *v1alpha1.LocalCERT, file []byte) (*unstructured.Unstructured, error) {
	return render(corev1ac.ConfigMap(NamesOf(l.Name).Relay, l.Namespace).
		WithLabels(Labels(l.Name)).
		WithOwnerReferences(owner(l)).
		WithData(map[string]string{relayconfig.File: string(file)}))
}

// LinkService stands before the link port, for peers.
func LinkService(l *v1alpha1.LocalCERT) (*unstructured.Unstructured, error) {
	kind := corev1.ServiceTypeLoadBalancer
	if asked := l.Spec.Relay.Service.Type; asked != "" {
		kind = corev1.ServiceType(asked)
	}
	s := corev1ac.Service(NamesOf(l.Name).Relay, l.Namespace).
		WithLabels(Labels(l.Name)).
		WithOwnerReferences(owner(l)).
		WithSpec(corev1ac.ServiceSpec().
			WithType(kind).
			WithSelector(Selector(l.Name)).
			WithPorts(servicePort("link", relayconfig.LinkPort)))
	if len(l.Spec.Relay.Service.Annotations) > 0 {
		s.WithAnnotations(l.Spec.Relay.Service.Annotations)
	}
	return render(s)
}

// LocalService stands before the local port. It leads to the relay also while
// that is not ready: then its report is wanted most.
func LocalService(l *v1alpha1.LocalCERT) (*unstructured.Unstructured, error) {
	spec := corev1ac.ServiceSpec().
		WithType(corev1.ServiceTypeClusterIP).
		WithPublishNotReadyAddresses(true).
		WithSelector(Selector(l.Name)).
		WithPorts(servicePort("local", relayconfig.LocalPort))
	if replicas(l) > 1 {
		// Each replica reports what it sees itself: whoever reads it stays with one while that lives.
		spec.WithSessionAffinity(corev1.ServiceAffinityClientIP)
		// A replica that is not ready has another beside it.
		spec.WithPublishNotReadyAddresses(false)
	}
	return render(corev1ac.Service(NamesOf(l.Name).Local, l.Namespace).
		WithLabels(Labels(l.Name)).
		WithOwnerReferences(owner(l)).
		WithSpec(spec))
}

func servicePort(name string, number int32) *corev1ac.ServicePortApplyConfiguration {
	return corev1ac.ServicePort().WithName(name).WithPort(number).
		WithTargetPort(intstr.FromString(name)).WithProtocol(corev1.ProtocolTCP)
}

// DisruptionBudget keeps evictions of the relay to one pod at a time.
func DisruptionBudget(l *v1alpha1.LocalCERT) (*unstructured.Unstructured, error) {
	return render(policyv1ac.PodDisruptionBudget(NamesOf(l.Name).Relay, l.Namespace).
		WithLabels(Labels(l.Name)).
		WithOwnerReferences(owner(l)).
		WithSpec(policyv1ac.PodDisruptionBudgetSpec().
			WithMaxUnavailable(intstr.FromInt32(1)).
			WithSelector(metav1ac.LabelSelector().WithMatchLabels(Selector(l.Name)))))
}

// NetworkPolicy lets in peers (link port), our operator and the pods of the same
// namespace (local port), the pods that may use imported services (their ports)
// and whoever reaches the pod (health and metrics, which hold nothing secret),
// and lets out DNS, connections to the ports of peers, of the relay's database and of
// servers that sources, deliveries and data sets name, and those to the pods behind exported services.
func NetworkPolicy(l *v1alpha1.LocalCERT, operatorNamespace string, cfg *config.Config, services relayconfig.Network) (*unstructured.Unstructured, error) {
	number := func(port int32) *networkingv1ac.NetworkPolicyPortApplyConfiguration {
		return tcp(intstr.FromInt32(port))
	}
	local := networkingv1ac.NetworkPolicyIngressRule().
		WithPorts(number(relayconfig.LocalPort)).
		WithFrom(networkingv1ac.NetworkPolicyPeer().WithPodSelector(metav1ac.LabelSelector()))
	if operatorNamespace != "" && operatorNamespace != l.Namespace {
		local.WithFrom(networkingv1ac.NetworkPolicyPeer().WithNamespaceSelector(
			metav1ac.LabelSelector().WithMatchLabels(map[string]string{corev1.LabelMetadataName: operatorNamespace})))
	}
	toPeers := networkingv1ac.NetworkPolicyEgressRule()
	out := append(peerPorts(cfg.Peers), relayconfig.RemotePorts(cfg)...)
	out = append(out, databasePorts(l)...)
	for _, port := range slices.Compact(slices.Sorted(slices.Values(out))) {
		toPeers.WithPorts(number(port))
	}
	return render(networkingv1ac.NetworkPolicy(NamesOf(l.Name).Relay, l.Namespace).
		WithLabels(Labels(l.Name)).
		WithOwnerReferences(owner(l)).
		WithSpec(networkingv1ac.NetworkPolicySpec().
			WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(Selector(l.Name))).
			WithPolicyTypes(networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress).
			WithIngress(
				networkingv1ac.NetworkPolicyIngressRule().WithPorts(number(relayconfig.LinkPort)),
				local,
				// The kubelet probes from the node's address, which no selector names.
				networkingv1ac.NetworkPolicyIngressRule().WithPorts(number(relayconfig.HealthPort)),
			).
			WithIngress(fromPods(services.Imports)...).
			WithEgress(
				networkingv1ac.NetworkPolicyEgressRule().WithPorts(
					networkingv1ac.NetworkPolicyPort().WithProtocol(corev1.ProtocolUDP).WithPort(intstr.FromInt32(53)),
					number(53)),
				toPeers,
			).
			WithEgress(toTargets(services.Exports)...)))
}

// databasePorts is the port of the relay's database, if it has one.
func databasePorts(l *v1alpha1.LocalCERT) []int32 {
	switch p := l.Spec.Relay.Storage.Postgres; {
	case p == nil:
		return nil
	case p.Port != nil:
		return []int32{*p.Port}
	}
	return []int32{5432}
}

// peerPorts are the ports of the peers' endpoints. The link port is always
// among them: a Service of this cluster may translate to it before the policy
// is looked at.
func peerPorts(peers []config.Peer) []int32 {
	ports := []int32{relayconfig.LinkPort}
	for _, p := range peers {
		for _, e := range p.Endpoints {
			if _, text, err := net.SplitHostPort(e.Address); err == nil {
				if n, err := strconv.ParseUint(text, 10, 16); err == nil && n > 0 {
					ports = append(ports, int32(n))
				}
			}
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}
