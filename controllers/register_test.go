// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/certlink/certlink/controllers/internal/manifest"
)

// A cluster may have many Services, of which most are nobody's business here.
func TestOfOtherServicesOnlyTheWayIsKept(t *testing.T) {
	yes := true
	full := corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "cert", Name: "misp", UID: "1", ResourceVersion: "7",
			Labels: map[string]string{"app": "misp"}, Annotations: map[string]string{"note": "long"}, Finalizers: []string{"lb"},
			ManagedFields:   []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
			OwnerReferences: []metav1.OwnerReference{{Kind: "Tool", Name: "misp", Controller: &yes}},
		},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, ClusterIP: "10.0.0.1", ClusterIPs: []string{"10.0.0.1"}, LoadBalancerSourceRanges: []string{"192.0.2.0/24"},
			Selector: map[string]string{"app": "misp"}, Ports: []corev1.ServicePort{{Port: 443, TargetPort: intstr.FromInt32(8443)}},
		},
		Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}}}},
	}
	kept := corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "cert", Name: "misp", UID: "1", ResourceVersion: "7", OwnerReferences: full.OwnerReferences},
		Spec:       corev1.ServiceSpec{Type: full.Spec.Type, ClusterIP: "10.0.0.1", Selector: full.Spec.Selector, Ports: full.Spec.Ports},
	}
	got, err := trimService(full.DeepCopy())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&kept, got); diff != "" {
		t.Errorf("of a foreign Service (-want +got):\n%s", diff)
	}
	ours := full.DeepCopy()
	ours.Labels = map[string]string{manifest.LabelManagedBy: manifest.ManagedBy}
	got, err = trimService(ours.DeepCopy())
	if err != nil {
		t.Fatal(err)
	}
	ours.ManagedFields = nil
	if diff := cmp.Diff(ours, got); diff != "" {
		t.Errorf("of a Service of ours (-want +got):\n%s", diff)
	}
}
