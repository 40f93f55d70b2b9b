// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package noded

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/test/nations/internal/layout"
)

func service(name string, age time.Duration, change func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{
		Namespace: "demo", Name: name, CreationTimestamp: metav1.NewTime(time.Unix(1_000_000, 0).Add(-age)),
	}}
	s.Spec.Type = corev1.ServiceTypeLoadBalancer
	if change != nil {
		change(s)
	}
	return s
}

func has(address string) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: address}} }
}

func wants(number string) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Annotations = map[string]string{AddressesAnnotation: number} }
}

func TestAssign(t *testing.T) {
	alfa, err := layout.Find("alfa")
	if err != nil {
		t.Fatal(err)
	}
	class := "other.example/balancer"
	for _, c := range []struct {
		name     string
		services []*corev1.Service
		want     map[string]string
	}{
		{
			name:     "the_oldest_gets_the_first",
			services: []*corev1.Service{service("young", 1, nil), service("old", 2, nil)},
			want:     map[string]string{"old": "198.18.0.101", "young": "198.18.0.102"},
		},
		{
			name:     "a_gap_is_filled",
			services: []*corev1.Service{service("a", 3, has("198.18.0.101")), service("c", 2, has("198.18.0.103")), service("new", 1, nil)},
			want:     map[string]string{"new": "198.18.0.102"},
		},
		{
			name: "a_wish_is_granted",
			services: []*corev1.Service{
				service("wish", 1, func(s *corev1.Service) { s.Spec.LoadBalancerIP = "198.18.0.105" }), service("new", 2, nil),
			},
			want: map[string]string{"wish": "198.18.0.105", "new": "198.18.0.101"},
		},
		{
			name: "who_wants_two_gets_two",
			services: []*corev1.Service{
				service("two", 2, wants("2")), service("one", 1, nil), service("nonsense", 0, wants("1000")),
			},
			want: map[string]string{"two": "198.18.0.101 198.18.0.102", "one": "198.18.0.103", "nonsense": "198.18.0.104"},
		},
		{
			name: "who_wants_a_second_keeps_the_first",
			services: []*corev1.Service{service("two", 2, func(s *corev1.Service) {
				wants("2")(s)
				has("198.18.0.101")(s)
			})},
			want: map[string]string{"two": "198.18.0.102"},
		},
		{
			name: "other_services_get_none",
			services: []*corev1.Service{
				service("cluster", 1, func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeClusterIP }),
				service("foreign", 1, func(s *corev1.Service) { s.Spec.LoadBalancerClass = &class }),
				service("going", 1, func(s *corev1.Service) { s.DeletionTimestamp = &metav1.Time{} }),
			},
			want: map[string]string{},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			given, err := assign(alfa, c.services)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, g := range given {
				got[g.service.Name] = strings.Join(g.addresses, " ")
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	t.Run("one_too_many_is_told", func(t *testing.T) {
		var services []*corev1.Service
		for i := range layout.LoadBalancers + 1 {
			services = append(services, service(fmt.Sprint("s", i), 1, nil))
		}
		given, err := assign(alfa, services)
		if len(given) != layout.LoadBalancers || !errors.Is(err, errPoolUsedUp) {
			t.Errorf("got %d addresses and %v", len(given), err)
		}
	})
}
