// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/relay/report"
)

func TestDeliveriesOfAnImport(t *testing.T) {
	n := alfa(t)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: n.Namespace, Name: "siem"}, Data: map[string][]byte{"hmac": []byte("key of the receiver")},
	}
	receiver := v1alpha1.RemoteEndpoint{URL: "https://siem.alfa.example/stix", SecretRef: &v1alpha1.SecretReference{Name: "siem"}}
	t.Run("a_secret_that_is_missing_is_named", func(t *testing.T) {
		n.edit(t, n.imports, func() {
			n.imports.Spec.Import.Deliveries = []v1alpha1.FeedDelivery{
				{Name: "siem", Webhook: &v1alpha1.WebhookDelivery{Receiver: receiver}}, {Name: "misp", MISP: &v1alpha1.MISPDelivery{}},
			}
		})
		n.expect(t, n.imports, "Ready=False/SecretNotFound")
	})
	t.Run("deliveries_reach_the_relay", func(t *testing.T) {
		if err := n.Client.Create(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		n.expect(t, n.imports, "Ready=True/Reconciled", "Delivering=True/Pulled")
		live := n.relay.live().Imports[0].Deliveries
		if len(live) != 2 || live[0].Webhook == nil || live[0].Webhook.MaxAttempts != 20 || !strings.HasSuffix(live[0].Webhook.Remote.Directory, "/siem") || live[1].MISP == nil {
			t.Errorf("the relay has %+v", live)
		}
	})
	deliver := func(d report.Delivery) {
		d.Import, d.Name = "from-bravo", "siem"
		n.relay.change(func(r *report.Report) {
			linkUp(r)
			r.Deliveries = []report.Delivery{d}
		})
	}
	t.Run("one_that_fails", func(t *testing.T) {
		deliver(report.Delivery{Waiting: 12, Error: "POST siem.alfa.example: the server answers 503 Service Unavailable"})
		n.expect(t, n.imports, "Delivering=False/DeliveryFailing", "Ready=True", "Fresh=True")
		if m := message(n.imports, "Delivering"); !strings.Contains(m, `"siem"`) || !strings.Contains(m, "503") {
			t.Errorf("unexpected message %q", m)
		}
		if got := n.imports.Status.Deliveries; len(got) != 1 || *got[0].Waiting != 10 || got[0].Message == "" {
			t.Errorf("unexpected status %+v", got)
		}
	})
	t.Run("dead_letters", func(t *testing.T) {
		deliver(report.Delivery{Delivered: 100, Dead: 3})
		n.expect(t, n.imports, "Delivering=False/DeadLetters")
		if m := message(n.imports, "Delivering"); !strings.Contains(m, "kubectl certlink feed dead from-bravo siem") {
			t.Errorf("unexpected message %q", m)
		}
	})
	t.Run("all_is_well_again", func(t *testing.T) {
		deliver(report.Delivery{Delivered: 103})
		n.expect(t, n.imports, "Delivering=True/Pulled")
	})
	t.Run("a_delivery_to_two_places_or_none_is_refused", func(t *testing.T) {
		for name, d := range map[string]v1alpha1.FeedDelivery{
			"exactly one of taxii, misp and webhook": {Name: "x", MISP: &v1alpha1.MISPDelivery{}, Webhook: &v1alpha1.WebhookDelivery{Receiver: receiver}},
			"must be set":                            {Name: "x"},
			"lower-case letters":                     {Name: "X_", MISP: &v1alpha1.MISPDelivery{}},
			"https://":                               {Name: "x", Webhook: &v1alpha1.WebhookDelivery{Receiver: v1alpha1.RemoteEndpoint{URL: "ftp://a.example"}}},
		} {
			bad := n.imports.DeepCopy()
			bad.Spec.Import.Deliveries = []v1alpha1.FeedDelivery{d}
			if err := n.Client.Update(t.Context(), bad); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), name) {
				t.Errorf("want %q, got %v", name, err)
			}
		}
	})
}
