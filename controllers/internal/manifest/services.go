// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
)

// Service is the component of the Services that stand for a peer's.
const Service = "service"

// ImportedService stands in our cluster for a service of a peer: it leads to the
// port of our relay that the status of the SharedService names.
func ImportedService(localCERT string, s *v1alpha1.SharedService) (*unstructured.Unstructured, error) {
	labels := maps.Clone(Labels(localCERT))
	labels[LabelComponent] = Service
	return render(corev1ac.Service(s.Name, s.Namespace).
		WithLabels(labels).
		WithOwnerReferences(metav1ac.OwnerReference().
			WithAPIVersion(v1alpha1.GroupVersion.String()).
			WithKind("SharedService").
			WithName(s.Name).
			WithUID(s.UID).
			WithController(true).
			WithBlockOwnerDeletion(true)).
		WithSpec(corev1ac.ServiceSpec().
			WithType(corev1.ServiceTypeClusterIP).
			WithSelector(Selector(localCERT)).
			WithPorts(corev1ac.ServicePort().
				WithName("service").
				WithPort(s.Spec.Import.Port).
				WithTargetPort(intstr.FromInt32(s.Status.RelayPort)).
				WithProtocol(corev1.ProtocolTCP))))
}

// fromPods lets pods of our cluster in to the ports of imported services: one
// rule for each audience.
func fromPods(imports []relayconfig.ImportPort) []*networkingv1ac.NetworkPolicyIngressRuleApplyConfiguration {
	var rules []*networkingv1ac.NetworkPolicyIngressRuleApplyConfiguration
	for _, audience := range []struct {
		from  v1alpha1.ServiceAudience
		peers *networkingv1ac.NetworkPolicyPeerApplyConfiguration
	}{
		{v1alpha1.FromNamespace, networkingv1ac.NetworkPolicyPeer().WithPodSelector(metav1ac.LabelSelector())},
		{v1alpha1.FromCluster, networkingv1ac.NetworkPolicyPeer().WithNamespaceSelector(metav1ac.LabelSelector())},
	} {
		rule := networkingv1ac.NetworkPolicyIngressRule().WithFrom(audience.peers)
		for _, p := range imports {
			if p.From == audience.from {
				rule.WithPorts(tcp(intstr.FromInt32(p.Port)))
			}
		}
		if len(rule.Ports) > 0 {
			rules = append(rules, rule)
		}
	}
	return rules
}

// toTargets lets the relay out to the pods behind exported services. Where a
// Service names no pods there is no rule: an empty selector would mean all.
func toTargets(exports []relayconfig.Target) []*networkingv1ac.NetworkPolicyEgressRuleApplyConfiguration {
	var rules []*networkingv1ac.NetworkPolicyEgressRuleApplyConfiguration
	for _, t := range exports {
		if len(t.Selector) == 0 {
			continue
		}
		rules = append(rules, networkingv1ac.NetworkPolicyEgressRule().
			WithTo(networkingv1ac.NetworkPolicyPeer().WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(t.Selector))).
			WithPorts(tcp(t.Port)))
	}
	return rules
}

func tcp(port intstr.IntOrString) *networkingv1ac.NetworkPolicyPortApplyConfiguration {
	return networkingv1ac.NetworkPolicyPort().WithProtocol(corev1.ProtocolTCP).WithPort(port)
}
