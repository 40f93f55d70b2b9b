// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package noded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/certlink/certlink/test/nations/internal/boot"
	"github.com/certlink/certlink/test/nations/internal/layout"
)

// AddressesAnnotation on a Service says how many addresses it gets, 1 to layout.LoadBalancers; without it, one. More are
// given when the number grows, none is taken away when it shrinks.
const AddressesAnnotation = "nations.test/addresses"

var errPoolUsedUp = errors.New("all LoadBalancer addresses are in use")

// balance gives addresses to Services that lack one, and puts exactly the addresses in use on the WAN device, so that a
// port without a Service is refused at once.
func (d *daemon) balance(ctx context.Context) error {
	services, err := d.factory.Core().V1().Services().Lister().List(labels.Everything())
	if err != nil {
		return fmt.Errorf("listing services: %w", err)
	}
	given, err := assign(d.Nation, services)
	for _, g := range given {
		changed := g.service.DeepCopy()
		for _, address := range g.addresses {
			changed.Status.LoadBalancer.Ingress = append(changed.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: address})
		}
		_, failure := d.client.CoreV1().Services(changed.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{})
		err = errors.Join(err, failure)
	}
	used := inUse(services)
	for _, g := range given {
		for _, address := range g.addresses {
			used[address] = true
		}
	}
	for address := range used {
		if !d.addresses[address] {
			failure := command(ctx, "", "ip", "addr", "replace", address+"/32", "dev", boot.WANDevice)
			err = errors.Join(err, failure)
			d.addresses[address] = failure == nil
		}
	}
	for address := range d.addresses {
		if !used[address] {
			err = errors.Join(err, command(ctx, "", "ip", "addr", "del", address+"/32", "dev", boot.WANDevice))
			delete(d.addresses, address)
		}
	}
	return err
}

type gift struct {
	service *corev1.Service
	// addresses come after those that the Service has.
	addresses []string
}

// assign chooses addresses for the Services that wait for some, the oldest first: the one they ask for in
// spec.loadBalancerIP if it is the nation's and free, else the lowest free ones.
func assign(n layout.Nation, services []*corev1.Service) ([]gift, error) {
	taken := inUse(services)
	waiting := slices.DeleteFunc(slices.Clone(services), func(s *corev1.Service) bool { return !waits(s) })
	slices.SortFunc(waiting, func(a, b *corev1.Service) int {
		if order := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); order != 0 {
			return order
		}
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	var given []gift
	for _, s := range waiting {
		g := gift{service: s}
		for i := 0; i < layout.LoadBalancers && len(g.addresses) < missing(s); i++ {
			candidate := n.LoadBalancer(i).String()
			if !taken[candidate] && (s.Spec.LoadBalancerIP == "" || s.Spec.LoadBalancerIP == candidate) {
				taken[candidate] = true
				g.addresses = append(g.addresses, candidate)
			}
		}
		if len(g.addresses) < missing(s) {
			return given, fmt.Errorf("choosing an address for service %s/%s: %w", s.Namespace, s.Name, errPoolUsedUp)
		}
		given = append(given, g)
	}
	return given, nil
}

func waits(s *corev1.Service) bool {
	return s.Spec.Type == corev1.ServiceTypeLoadBalancer && s.Spec.LoadBalancerClass == nil &&
		missing(s) > 0 && s.DeletionTimestamp == nil
}

// missing is how many addresses a Service lacks. A number that cannot be read, or granted, counts as one.
func missing(s *corev1.Service) int {
	wanted, err := strconv.Atoi(s.Annotations[AddressesAnnotation])
	if err != nil || wanted < 1 || wanted > layout.LoadBalancers || s.Spec.LoadBalancerIP != "" {
		wanted = 1
	}
	return wanted - len(s.Status.LoadBalancer.Ingress)
}

func inUse(services []*corev1.Service) map[string]bool {
	used := map[string]bool{}
	for _, s := range services {
		if s.Spec.Type != corev1.ServiceTypeLoadBalancer {
			continue
		}
		for _, ingress := range s.Status.LoadBalancer.Ingress {
			used[ingress.IP] = true
		}
	}
	return used
}
