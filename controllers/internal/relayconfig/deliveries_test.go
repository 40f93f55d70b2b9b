// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/relay/config"
)

func TestAnImportCarriesItsDeliveries(t *testing.T) {
	f := imported("threats", "bravo")
	attempts := int32(7)
	server := v1alpha1.RemoteEndpoint{URL: "https://x.alfa.example/", SecretRef: &v1alpha1.SecretReference{Name: "x"}}
	f.Spec.Import.Deliveries = []v1alpha1.FeedDelivery{
		{Name: "opencti", TAXII: &v1alpha1.TAXIICollection{Server: server, Collection: "from-bravo"}},
		{Name: "misp", MISP: &v1alpha1.MISPDelivery{Organisation: "CERT Alfa"}},
		{Name: "siem", Webhook: &v1alpha1.WebhookDelivery{Receiver: server, MaxAttempts: &attempts}},
	}
	there := config.Remote{URL: "https://x.alfa.example/", Directory: SecretsPath + "x"}
	want := []config.Delivery{
		{Name: "opencti", TAXII: &config.TAXIISource{Remote: there, Collection: "from-bravo"}},
		{Name: "misp", MISP: &config.MISPDelivery{Organisation: "CERT Alfa"}},
		{Name: "siem", Webhook: &config.Webhook{Remote: there, MaxAttempts: 7}},
	}
	if diff := cmp.Diff(want, Import(&f).Deliveries); diff != "" {
		t.Error(diff)
	}
	all := func(string) bool { return true }
	if fault := FeedFault(&f, all, all); fault != nil {
		t.Errorf("fault %+v", fault)
	}
	f.Spec.Import.Deliveries[1].Name = "siem"
	if fault := FeedFault(&f, all, all); fault == nil || fault.Reason != v1alpha1.ReasonSpecInvalid {
		t.Errorf("two of one name: %+v", fault)
	}
}
