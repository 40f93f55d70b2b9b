// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package noded

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// cluster is what policies are judged on.
type cluster struct {
	pods       []*corev1.Pod
	namespaces map[string]labels.Set
}

// Table writes all policies as one nftables table in the forward hook. Each pod that a policy isolates has a chain for
// that direction, which returns what is allowed and drops the rest.
func Table(pods []*corev1.Pod, namespaces []*corev1.Namespace, policies []*networkingv1.NetworkPolicy) string {
	c := cluster{namespaces: map[string]labels.Set{}}
	for _, ns := range namespaces {
		c.namespaces[ns.Name] = ns.Labels
	}
	for _, p := range pods {
		if live(p) {
			c.pods = append(c.pods, p)
		}
	}
	slices.SortFunc(c.pods, func(a, b *corev1.Pod) int { return strings.Compare(a.Status.PodIP, b.Status.PodIP) })
	policies = slices.SortedFunc(slices.Values(policies), func(a, b *networkingv1.NetworkPolicy) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	var jumps, chains strings.Builder
	for _, pod := range c.pods {
		for _, side := range []side{outgoing, incoming} {
			isolated, rules := c.rules(pod, side, policies)
			if !isolated {
				continue
			}
			chain := side.prefix + strings.ReplaceAll(pod.Status.PodIP, ".", "_")
			fmt.Fprintf(&jumps, "\t\tip %s %s jump %s\n", side.own, pod.Status.PodIP, chain)
			fmt.Fprintf(&chains, "\tchain %s {\n", chain)
			for _, rule := range rules {
				fmt.Fprintf(&chains, "\t\t%sreturn\n", rule)
			}
			fmt.Fprint(&chains, "\t\tcounter drop\n\t}\n")
		}
	}
	return "table inet policies\ndelete table inet policies\ntable inet policies {\n" + chains.String() +
		"\tchain forward {\n\t\ttype filter hook forward priority filter; policy accept;\n" +
		"\t\tct state established,related accept\n" + jumps.String() + "\t}\n}\n"
}

// side is one of the two directions of a policy: which address is the pod's own, and which its peer's.
type side struct {
	direction         networkingv1.PolicyType
	prefix, own, peer string
}

var (
	incoming = side{direction: networkingv1.PolicyTypeIngress, prefix: "in_", own: "daddr", peer: "saddr"}
	outgoing = side{direction: networkingv1.PolicyTypeEgress, prefix: "out_", own: "saddr", peer: "daddr"}
)

// permission is one from/to entry of either direction.
type permission struct {
	peers []networkingv1.NetworkPolicyPeer
	ports []networkingv1.NetworkPolicyPort
}

func (s side) permissions(p *networkingv1.NetworkPolicy) []permission {
	var all []permission
	if s.direction == networkingv1.PolicyTypeIngress {
		for _, r := range p.Spec.Ingress {
			all = append(all, permission{r.From, r.Ports})
		}
		return all
	}
	for _, r := range p.Spec.Egress {
		all = append(all, permission{r.To, r.Ports})
	}
	return all
}

// rules returns the conditions, each ending in a space, under which packets pass.
func (c cluster) rules(pod *corev1.Pod, s side, policies []*networkingv1.NetworkPolicy) (isolated bool, rules []string) {
	for _, p := range policies {
		if p.Namespace != pod.Namespace || !affects(p, s.direction) || !match(&p.Spec.PodSelector, pod.Labels) {
			continue
		}
		isolated = true
		for _, allowed := range s.permissions(p) {
			rules = append(rules, c.permit(pod, s, allowed)...)
		}
	}
	return isolated, rules
}

func (c cluster) permit(pod *corev1.Pod, s side, allowed permission) []string {
	blocks, pods, everyone := c.peers(pod.Namespace, s.peer, allowed.peers)
	addresses := slices.Clone(blocks)
	switch {
	case everyone:
		addresses = append(addresses, "")
	case len(pods) > 0:
		addresses = append(addresses, fmt.Sprintf("ip %s { %s } ", s.peer, strings.Join(ips(pods), ", ")))
	}
	var rules []string
	if len(allowed.ports) == 0 {
		return addresses
	}
	for _, port := range allowed.ports {
		if port.Port == nil || port.Port.StrVal == "" {
			for _, address := range addresses {
				rules = append(rules, address+number(port))
			}
			continue
		}
		// A name is the receiver's: ours for what comes in, each peer's own for what goes out.
		if s.direction == networkingv1.PolicyTypeIngress {
			for _, address := range addresses {
				for _, n := range named(port, pod) {
					rules = append(rules, address+n)
				}
			}
			continue
		}
		if everyone {
			pods = c.pods
		}
		for _, peer := range pods {
			for _, n := range named(port, peer) {
				rules = append(rules, fmt.Sprintf("ip daddr %s %s", peer.Status.PodIP, n))
			}
		}
	}
	return rules
}

// peers splits a from or to list into address blocks and pods. No list at all means everyone.
func (c cluster) peers(namespace, field string, list []networkingv1.NetworkPolicyPeer) (blocks []string, pods []*corev1.Pod, everyone bool) {
	for _, peer := range list {
		if b := peer.IPBlock; b != nil {
			block := fmt.Sprintf("ip %s %s ", field, b.CIDR)
			if len(b.Except) > 0 {
				block += fmt.Sprintf("ip %s != { %s } ", field, strings.Join(b.Except, ", "))
			}
			blocks = append(blocks, block)
			continue
		}
		for _, pod := range c.pods {
			here := peer.NamespaceSelector == nil && pod.Namespace == namespace ||
				peer.NamespaceSelector != nil && match(peer.NamespaceSelector, c.namespaces[pod.Namespace])
			if here && (peer.PodSelector == nil || match(peer.PodSelector, pod.Labels)) {
				pods = append(pods, pod)
			}
		}
	}
	return blocks, pods, len(list) == 0
}

func ips(pods []*corev1.Pod) []string {
	var all []string
	for _, p := range pods {
		all = append(all, p.Status.PodIP)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func protocol(port networkingv1.NetworkPolicyPort) string {
	if port.Protocol == nil {
		return "tcp"
	}
	return strings.ToLower(string(*port.Protocol))
}

// number is the condition for a port given by number, by range or not at all.
func number(port networkingv1.NetworkPolicyPort) string {
	switch {
	case port.Port == nil:
		return fmt.Sprintf("meta l4proto %s ", protocol(port))
	case port.EndPort != nil:
		return fmt.Sprintf("%s dport %d-%d ", protocol(port), port.Port.IntVal, *port.EndPort)
	default:
		return fmt.Sprintf("%s dport %d ", protocol(port), port.Port.IntVal)
	}
}

// named is the condition for each port of that name and protocol in the pod.
func named(port networkingv1.NetworkPolicyPort, pod *corev1.Pod) []string {
	var all []string
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			same := strings.EqualFold(string(p.Protocol), protocol(port)) || p.Protocol == "" && protocol(port) == "tcp"
			if same && p.Name == port.Port.StrVal {
				all = append(all, fmt.Sprintf("%s dport %d ", protocol(port), p.ContainerPort))
			}
		}
	}
	return all
}

func match(selector *metav1.LabelSelector, set map[string]string) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(labels.Set(set))
}
