// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/relay/config"
)

func endpoint(url, secret string) *v1alpha1.RemoteEndpoint {
	e := &v1alpha1.RemoteEndpoint{URL: url}
	if secret != "" {
		e.SecretRef = &v1alpha1.SecretReference{Name: secret}
	}
	return e
}

func collecting() *v1alpha1.SharedFeed {
	interval := int32(60)
	f := &v1alpha1.SharedFeed{Spec: v1alpha1.SharedFeedSpec{Direction: v1alpha1.FeedExport, Export: &v1alpha1.FeedExportSpec{Sources: []v1alpha1.FeedSource{
		{Name: "partner", Pull: &v1alpha1.FeedPull{TAXII: &v1alpha1.TAXIICollection{Server: *endpoint("https://taxii.charlie.example:6443/api/", "charlie"), Collection: "x"}, IntervalSeconds: &interval}},
		{Name: "bundle", Pull: &v1alpha1.FeedPull{STIX: endpoint("http://attack.example/x", "")}},
		{Name: "misp", Pull: &v1alpha1.FeedPull{MISP: endpoint("https://misp.alfa.example/feed", "charlie")}},
		{Name: "declared", Pull: &v1alpha1.FeedPull{ConfigMapRef: &v1alpha1.ConfigMapReference{Name: "bundles"}}},
		{Name: "one", Pull: &v1alpha1.FeedPull{ConfigMapRef: &v1alpha1.ConfigMapReference{Name: "bundles", Key: "one.json"}}},
		{Name: "pushed"},
	}}}}
	f.Name = "collected"
	return f
}

func TestSourcesBecomeConfiguration(t *testing.T) {
	got := Export(collecting(), func(string) bool { return true })
	charlie := "/etc/certlink/secrets/charlie"
	want := []config.Source{
		{Name: "partner", Pull: &config.PulledSource{TAXII: &config.TAXIISource{Remote: config.Remote{URL: "https://taxii.charlie.example:6443/api/", Directory: charlie}, Collection: "x"}, IntervalSeconds: 60}},
		{Name: "bundle", Pull: &config.PulledSource{STIX: &config.Remote{URL: "http://attack.example/x"}}},
		{Name: "misp", Pull: &config.PulledSource{MISP: &config.Remote{URL: "https://misp.alfa.example/feed", Directory: charlie}}},
		{Name: "declared", Pull: &config.PulledSource{Files: []string{"/etc/certlink/configmaps/bundles/"}}},
		{Name: "one", Pull: &config.PulledSource{Files: []string{"/etc/certlink/configmaps/bundles/one.json"}}},
		{Name: "pushed"},
	}
	if diff := cmp.Diff(want, got.Sources); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
	if faults := check(config.Config{Exports: []config.Export{got}}); len(faults) > 0 {
		t.Errorf("the relay refuses it: %s", faults)
	}
	if diff := cmp.Diff([]int32{80, 443, 6443}, RemotePorts(&config.Config{Exports: []config.Export{got}})); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
}

func TestWhatIsNamedIsMountedOnce(t *testing.T) {
	local := &v1alpha1.LocalCERT{Spec: v1alpha1.LocalCERTSpec{Territory: v1alpha1.TerritorySpec{
		Datasets:     []v1alpha1.TerritoryDataset{{Name: "rir", Origin: v1alpha1.DatasetOrigin{HTTP: endpoint("https://rir.example/x", "mirror")}}},
		WarningLists: []v1alpha1.WarningList{{Name: "cdn", Origin: v1alpha1.DatasetOrigin{ConfigMapRef: &v1alpha1.ConfigMapReference{Name: "lists", Key: "cdn"}}}},
	}}}
	imported := v1alpha1.SharedFeed{Spec: v1alpha1.SharedFeedSpec{Import: &v1alpha1.FeedImportSpec{Deliveries: []v1alpha1.FeedDelivery{
		{Name: "hook", Webhook: &v1alpha1.WebhookDelivery{Receiver: *endpoint("https://hook.alfa.example", "hook")}},
		{Name: "taxii", TAXII: &v1alpha1.TAXIICollection{Server: *endpoint("https://taxii.alfa.example", "charlie")}},
		{Name: "misp", MISP: &v1alpha1.MISPDelivery{}},
	}}}}
	want := []Object{{ConfigMap, "bundles"}, {ConfigMap, "lists"}, {Secret, "charlie"}, {Secret, "hook"}, {Secret, "mirror"}}
	got := Input{Local: local, Feeds: []v1alpha1.SharedFeed{*collecting(), imported}}.Mounted()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mounted (-want +got):\n%s", diff)
	}
}

func TestReferenceFaults(t *testing.T) {
	secret := []Reference{{Object: Object{Secret, "charlie"}, Field: "spec.x"}}
	whole := []Reference{{Object: Object{ConfigMap, "bundles"}, Field: "spec.y"}}
	key := []Reference{{Object: Object{ConfigMap, "bundles"}, Field: "spec.y", Key: "one.json"}}
	has := func(kind Kind, name string, keys ...string) Keys { return Keys{{kind, name}: keys} }
	for name, tc := range map[string]struct {
		refs         []Reference
		there        Keys
		reason, says string
	}{
		"nothing_is_named":              {nil, nil, "", ""},
		"a_Secret_that_will_do":         {secret, has(Secret, "charlie", "ca.crt", "token"), "", ""},
		"a_client_certificate":          {secret, has(Secret, "charlie", "ca.crt", "tls.crt", "tls.key", "username", "password"), "", ""},
		"a_signature_alone":             {secret, has(Secret, "charlie", "hmac"), "", ""},
		"no_Secret":                     {secret, has(ConfigMap, "charlie", "token"), v1alpha1.ReasonSecretNotFound, `spec.x: there is no Secret "charlie"`},
		"a_Secret_of_something_else":    {secret, has(Secret, "charlie", "config.json"), v1alpha1.ReasonSecretNotFound, "has none of the keys"},
		"a_key_without_its_certificate": {secret, has(Secret, "charlie", "tls.key"), v1alpha1.ReasonSecretNotFound, `"tls.key" without "tls.crt"`},
		"two_ways_at_once":              {secret, has(Secret, "charlie", "token", "authorization"), v1alpha1.ReasonSecretNotFound, `"token", "authorization", of which only one`},
		"a_ConfigMap":                   {whole, has(ConfigMap, "bundles", "x"), "", ""},
		"no_ConfigMap":                  {whole, nil, v1alpha1.ReasonConfigMapNotFound, `no ConfigMap "bundles"`},
		"an_empty_ConfigMap":            {whole, has(ConfigMap, "bundles"), v1alpha1.ReasonConfigMapNotFound, "has no keys"},
		"the_key_of_a_ConfigMap":        {key, has(ConfigMap, "bundles", "one.json"), "", ""},
		"another_key_of_a_ConfigMap":    {key, has(ConfigMap, "bundles", "x"), v1alpha1.ReasonConfigMapNotFound, `no key "one.json"`},
	} {
		fault := ReferenceFault(tc.refs, tc.there)
		switch {
		case fault == nil && tc.reason != "":
			t.Errorf("%s: no fault, want %s", name, tc.reason)
		case fault != nil && (fault.Reason != tc.reason || !strings.Contains(fault.Message, tc.says)):
			t.Errorf("%s: %s: %s, want %s with %q", name, fault.Reason, fault.Message, tc.reason, tc.says)
		}
	}
}

func TestASecretOfTheLocalCERTIsShownToNobody(t *testing.T) {
	for secret, reserved := range map[string]bool{
		"alfa-operator": true, "alfa-desk": true, "alfa-ca": true, "alfa-ca-12": true, "alfa-signing": true,
		"alfa-ca-bundle": false, "alfa-db-app": false, "bravo-ca": false, "alfa": false, "alfa-misp-desk": false,
	} {
		f := &v1alpha1.SharedFeed{Spec: v1alpha1.SharedFeedSpec{Import: &v1alpha1.FeedImportSpec{Deliveries: []v1alpha1.FeedDelivery{
			{Name: "hook", Webhook: &v1alpha1.WebhookDelivery{Receiver: *endpoint("https://alfa-relay-local:9443/", secret)}},
		}}}}
		mounted := Input{Local: local(), Feeds: []v1alpha1.SharedFeed{*f}}.Mounted()
		fault := ReservedFault(FeedReferences(f), "alfa")
		if (len(mounted) == 0) != reserved || (fault != nil) != reserved {
			t.Errorf("%s: mounted %v, fault %v", secret, mounted, fault)
		}
	}
}
