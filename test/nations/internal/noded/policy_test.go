// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package noded

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

func pod(namespace, name, ip string, set map[string]string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: set}}
	p.Status.PodIP, p.Status.Phase = ip, corev1.PodRunning
	p.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 8080}}}}
	return p
}

// lines returns the rules of a table: the jumps and what the chains say.
func lines(table string) []string {
	var all []string
	for line := range strings.Lines(table) {
		line = strings.TrimSpace(line)
		for _, start := range []string{"chain in_", "chain out_", "ip ", "tcp ", "udp ", "meta ", "return", "counter drop"} {
			if strings.HasPrefix(line, start) {
				all = append(all, line)
				break
			}
		}
	}
	return all
}

func TestTable(t *testing.T) {
	server := pod("one", "server", "10.10.0.5", map[string]string{"app": "server"})
	friend := pod("one", "friend", "10.10.0.6", map[string]string{"role": "friend"})
	stranger := pod("two", "stranger", "10.10.0.7", nil)
	finished := pod("one", "finished", "10.10.0.8", map[string]string{"role": "friend"})
	finished.Status.Phase = corev1.PodSucceeded
	onHost := pod("one", "on-host", "198.18.0.1", map[string]string{"app": "server"})
	onHost.Spec.HostNetwork = true
	pods := []*corev1.Pod{stranger, server, onHost, finished, friend}
	namespaces := []*corev1.Namespace{
		{ObjectMeta: metav1.ObjectMeta{Name: "one", Labels: map[string]string{"team": "red"}}},
		{ObjectMeta: metav1.ObjectMeta{Name: "two", Labels: map[string]string{"team": "blue"}}},
	}
	for _, c := range []struct {
		name, spec string
		want       []string
	}{
		{
			name: "without_rules_nothing_comes_in",
			spec: "{podSelector: {matchLabels: {app: server}}, policyTypes: [Ingress]}",
			want: []string{"chain in_10_10_0_5 {", "counter drop", "ip daddr 10.10.0.5 jump in_10_10_0_5"},
		},
		{
			name: "an_empty_rule_lets_everyone_in",
			spec: "{podSelector: {matchLabels: {app: server}}, policyTypes: [Ingress], ingress: [{}]}",
			want: []string{"chain in_10_10_0_5 {", "return", "counter drop", "ip daddr 10.10.0.5 jump in_10_10_0_5"},
		},
		{
			name: "pods_of_the_same_namespace_by_label_and_port",
			spec: "{podSelector: {matchLabels: {app: server}}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {matchLabels: {role: friend}}}], ports: [{port: 443}, {port: 1000, endPort: 2000, protocol: UDP}]}]}",
			want: []string{
				"chain in_10_10_0_5 {", "ip saddr { 10.10.0.6 } tcp dport 443 return",
				"ip saddr { 10.10.0.6 } udp dport 1000-2000 return", "counter drop", "ip daddr 10.10.0.5 jump in_10_10_0_5",
			},
		},
		{
			name: "nobody_matching_lets_nobody_in",
			spec: "{podSelector: {matchLabels: {app: server}}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {matchLabels: {role: enemy}}}]}]}",
			want: []string{"chain in_10_10_0_5 {", "counter drop", "ip daddr 10.10.0.5 jump in_10_10_0_5"},
		},
		{
			name: "namespaces_and_address_blocks",
			spec: "{podSelector: {matchLabels: {app: server}}, policyTypes: [Ingress], ingress: [{from: [{namespaceSelector: {matchLabels: {team: blue}}}, {ipBlock: {cidr: 198.18.0.0/24, except: [198.18.0.3/32]}}]}]}",
			want: []string{
				"chain in_10_10_0_5 {", "ip saddr 198.18.0.0/24 ip saddr != { 198.18.0.3/32 } return",
				"ip saddr { 10.10.0.7 } return", "counter drop", "ip daddr 10.10.0.5 jump in_10_10_0_5",
			},
		},
		{
			name: "a_port_name_is_the_receivers",
			spec: "{podSelector: {matchLabels: {role: friend}}, policyTypes: [Ingress, Egress], ingress: [{ports: [{port: web}]}], egress: [{to: [{podSelector: {matchLabels: {app: server}}}], ports: [{port: web}, {port: other}]}]}",
			want: []string{
				"chain out_10_10_0_6 {", "ip daddr 10.10.0.5 tcp dport 8080 return", "counter drop",
				"chain in_10_10_0_6 {", "tcp dport 8080 return", "counter drop",
				"ip saddr 10.10.0.6 jump out_10_10_0_6", "ip daddr 10.10.0.6 jump in_10_10_0_6",
			},
		},
		{
			name: "a_protocol_without_port",
			spec: "{podSelector: {matchLabels: {role: friend}}, policyTypes: [Egress], egress: [{ports: [{protocol: UDP}]}]}",
			want: []string{"chain out_10_10_0_6 {", "meta l4proto udp return", "counter drop", "ip saddr 10.10.0.6 jump out_10_10_0_6"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "one", Name: "p"}}
			if err := yaml.UnmarshalStrict([]byte(c.spec), &policy.Spec); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, lines(Table(pods, namespaces, []*networkingv1.NetworkPolicy{policy}))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestNamed(t *testing.T) {
	p := pod("one", "server", "10.10.0.5", nil)
	udp := corev1.ProtocolUDP
	web := intstr.FromString("web")
	if got := named(networkingv1.NetworkPolicyPort{Port: &web, Protocol: &udp}, p); got != nil {
		t.Errorf("a TCP port was found for UDP: %q", got)
	}
}
