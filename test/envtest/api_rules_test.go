// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// fieldValues are fields of an object by path.
type fieldValues map[string]any

// spoiled is an object that a CEL rule refuses.
type spoiled struct {
	name    string // a sentence about what is refused
	object  string // the full object to begin with
	set     fieldValues
	field   string // that the API server must name
	message string // of the rule, whole
}

// spoiledObjects has at least one case for every CEL rule that looks at one
// version of an object.
func spoiledObjects() []spoiled {
	var cases []spoiled
	cases = append(cases, identityOf("localcert")...)
	cases = append(cases, identityOf("peercert-bundle")...)
	cases = append(cases, endpointOf("localcert", "spec.addresses")...)
	cases = append(cases, endpointOf("peercert-bundle", "spec.endpoints")...)
	cases = append(cases, territoryOf()...)
	cases = append(cases, remotesOf()...)
	cases = append(cases, nameOf("localcert", localNameMessage, 40)...)
	cases = append(cases, nameOf("peercert-bundle", peerNameMessage, 63)...)
	cases = append(cases, nameOf("sharedfeed-export", feedNameMessage, 63)...)
	cases = append(cases, nameOf("sharedservice-import", serviceNameMessage, 63)...)
	cases = append(cases, nameOf("hotline", hotlineNameMessage, 63)...)
	return append(cases,
		spoiled{"name that begins with a digit", "localcert", fieldValues{"metadata.name": "1alfa"}, wholeObject, localNameMessage},
		spoiled{"volume of no size", "localcert", fieldValues{"spec.relay.storage.size": "0"}, "spec.relay.storage.size", sizeMessage},
		spoiled{"volume of no size as a number", "localcert", fieldValues{"spec.relay.storage.size": int64(0)}, "spec.relay.storage.size", sizeMessage},
		spoiled{"two replicas on a volume", "localcert", fieldValues{"spec.relay.replicas": int64(2), "spec.relay.storage.postgres": absent{}}, "spec.relay", replicasMessage},
		spoiled{"a volume and a database", "localcert", fieldValues{"spec.relay.storage.postgres": database}, "spec.relay.storage", postgresMessage},
		spoiled{"volume of a negative size", "localcert", fieldValues{"spec.relay.storage.size": "-1Gi"}, "spec.relay.storage.size", sizeMessage},

		spoiled{"no trust at all", "peercert-bundle", fieldValues{"spec.trust": map[string]any{}}, "spec.trust", trustMessage},
		spoiled{"bundle and reference at once", "peercert-bundle", fieldValues{"spec.trust.bundleRef": map[string]any{"name": "bravo-ca"}}, "spec.trust", trustMessage},
		spoiled{"bundle that is not PEM", "peercert-bundle", fieldValues{"spec.trust.bundle": "MIIB"}, "spec.trust.bundle", bundleMessage},
		spoiled{"bundle with a private key", "peercert-bundle", fieldValues{"spec.trust.bundle": "-----BEGIN CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----\n"}, "spec.trust.bundle", privateKeyMessage},

		spoiled{"export that says import", "sharedfeed-export", fieldValues{"spec.direction": "Import"}, "spec", directionMessage},
		spoiled{"import that says export", "sharedfeed-import", fieldValues{"spec.direction": "Export"}, "spec", directionMessage},
		spoiled{"export without its part", "sharedfeed-export", fieldValues{"spec.export": absent{}}, "spec", directionMessage},
		spoiled{"export with both parts", "sharedfeed-export", fieldValues{"spec.import": map[string]any{"peerRef": map[string]any{"name": "bravo"}, "collection": "x"}}, "spec", directionMessage},
		spoiled{"title of two lines", "sharedfeed-export", fieldValues{"spec.title": "Advisories\nof alfa"}, "spec.title", titleMessage},
		peerRefOf("sharedfeed-export", "spec.export.peerRefs[0].name"),
		spoiled{"source with a dot", "sharedfeed-export", fieldValues{"spec.export.sources[0].name": "att.ck"}, "spec.export.sources[0].name", sourceMessage},
		spoiled{"source with a capital letter", "sharedfeed-export", fieldValues{"spec.export.sources[0].name": "Desk"}, "spec.export.sources[0].name", sourceMessage},
		spoiled{"a source of two kinds", "sharedfeed-source-taxii", fieldValues{"spec.export.sources[0].pull.stix": map[string]any{"url": "https://attack.example/x"}}, "spec.export.sources[0].pull", pullMessage},
		spoiled{"a TAXII server by FTP", "sharedfeed-source-taxii", fieldValues{"spec.export.sources[0].pull.taxii.server.url": "ftp://charlie.example/"}, "spec.export.sources[0].pull.taxii.server.url", urlMessage},
		spoiled{"a bundle without scheme", "sharedfeed-source-stix", fieldValues{"spec.export.sources[0].pull.stix.url": "attack.example/x"}, "spec.export.sources[0].pull.stix.url", urlMessage},
		spoiled{"a MISP feed that is a file", "sharedfeed-source-misp", fieldValues{"spec.export.sources[0].pull.misp.url": "file:///feed/"}, "spec.export.sources[0].pull.misp.url", urlMessage},
		spoiled{"type with a capital letter", "sharedfeed-export", fieldValues{"spec.export.rule.types[0]": "Indicator"}, "spec.export.rule.types[0]", typesMessage},
		spoiled{"type with a wildcard", "sharedfeed-export", fieldValues{"spec.export.rule.types[0]": "x-*"}, "spec.export.rule.types[0]", typesMessage},
		peerRefOf("sharedfeed-import", "spec.import.peerRef.name"),
		spoiled{"collection with a slash", "sharedfeed-import", fieldValues{"spec.import.collection": "feeds/advisories"}, "spec.import.collection", collectionMessage},
		spoiled{"a delivery to two places", "sharedfeed-import", fieldValues{"spec.import.deliveries[0].misp": map[string]any{}}, "spec.import.deliveries[0]", deliveryMessage},
		spoiled{"a delivery to nowhere", "sharedfeed-import", fieldValues{"spec.import.deliveries[0].taxii": absent{}}, "spec.import.deliveries[0]", deliveryMessage},
		spoiled{"a delivery with a dot", "sharedfeed-import", fieldValues{"spec.import.deliveries[0].name": "open.cti"}, "spec.import.deliveries[0].name", sourceMessage},
		spoiled{"collection that climbs", "sharedfeed-import", fieldValues{"spec.import.collection": ".."}, "spec.import.collection", collectionMessage},

		spoiled{"name that begins with a digit", "sharedservice-import", fieldValues{"metadata.name": "1tickets"}, wholeObject, serviceNameMessage},
		spoiled{"export that says import", "sharedservice-export", fieldValues{"spec.direction": "Import"}, "spec", directionMessage},
		spoiled{"import that says export", "sharedservice-import", fieldValues{"spec.direction": "Export"}, "spec", directionMessage},
		spoiled{"import without its part", "sharedservice-import", fieldValues{"spec.import": absent{}}, "spec", directionMessage},
		spoiled{"import with both parts", "sharedservice-import", fieldValues{"spec.export": map[string]any{
			"serviceRef": map[string]any{"name": "misp", "port": int64(443)}, "peerRefs": []any{map[string]any{"name": "bravo"}},
		}}, "spec", directionMessage},
		spoiled{"Service of another namespace", "sharedservice-export", fieldValues{"spec.export.serviceRef.name": "misp.web"}, "spec.export.serviceRef.name", serviceRefMessage},
		peerRefOf("sharedservice-export", "spec.export.peerRefs[0].name"),
		peerRefOf("sharedservice-import", "spec.import.peerRef.name"),
		spoiled{"service with a dot", "sharedservice-import", fieldValues{"spec.import.service": "tickets.bravo"}, "spec.import.service", serviceMessage},
		spoiled{"service that begins with a digit", "sharedservice-import", fieldValues{"spec.import.service": "1tickets"}, "spec.import.service", serviceMessage},

		peerRefOf("hotline", "spec.peerRef.name"),
		peerRefOf("hotline", "spec.transit[0].name"),
		spoiled{"transit through the peer itself", "hotline", fieldValues{"spec.transit[0].name": "bravo"}, "spec", transitMessage},
		spoiled{"an officer of two lines", "localcert", fieldValues{"spec.desk.officers[0].displayName": "Eve\u2028Example"}, "spec.desk.officers[0].displayName", lineMessage("displayName")},
		spoiled{"an officer with a capital letter", "localcert", fieldValues{"spec.desk.officers[0].name": "Eve"}, "spec.desk.officers[0].name", "name must be lower-case letters, digits and '-'"},
		spoiled{"a notifier of no kind", "hotline-escalation", fieldValues{"spec.notifiers[0].webhook": absent{}}, "spec.notifiers[0]", notifierMessage},
		spoiled{"a notifier with a dot", "hotline-escalation", fieldValues{"spec.notifiers[0].name": "a.b"}, "spec.notifiers[0].name", notifyNameMessage},
		spoiled{"a step with a dot", "hotline-escalation", fieldValues{"spec.escalation[0].name": "a.b"}, "spec.escalation[0].name", notifyNameMessage},
		spoiled{"a label of ours", "hotline-alertmanager", fieldValues{"spec.notifiers[0].alertmanager.labels[0].name": "certlink_step"}, "spec.notifiers[0].alertmanager.labels[0].name", alertLabelMessage},
		spoiled{"mail without TLS to elsewhere", "hotline-smtp", fieldValues{"spec.notifiers[0].smtp.tls": "PlainLoopback", "spec.notifiers[0].smtp.authSecretRef": absent{}}, "spec.notifiers[0].smtp", plainMailMessage},
		spoiled{"a password without TLS", "hotline-smtp", fieldValues{"spec.notifiers[0].smtp.tls": "PlainLoopback", "spec.notifiers[0].smtp.server": "127.0.0.1:25"}, "spec.notifiers[0].smtp", plainMailMessage},
		spoiled{"a bound on no repetition", "hotline-escalation", fieldValues{"spec.escalation[0].repeatSeconds": absent{}}, "spec.escalation[0]", repeatsMessage},
		spoiled{"a line check missed before the next is due", "hotline", fieldValues{"spec.lineChecks.missedAfterSeconds": int64(1800)}, "spec.lineChecks", lineChecksMessage},
		spoiled{"a line check missed before the default interval is over", "hotline", fieldValues{"spec.lineChecks.intervalSeconds": absent{}}, "spec.lineChecks", lineChecksMessage},
		spoiled{"acknowledgement due before the receipt", "hotline", fieldValues{"spec.deadlines[0].receiptSeconds": int64(121)}, "spec.deadlines[0]", deadlineMessage},
	)
}

// moved is a change of a stored object that a CEL rule refuses.
type moved struct {
	name    string
	object  string
	set     fieldValues
	field   string
	message string
}

// movedObjects has a case for every CEL rule that compares two versions.
func movedObjects() []moved {
	const trustDomain = "trustDomain is immutable: another trust domain is another party; create a new object"
	const direction = "direction is immutable: create another SharedFeed"
	const imported = "service is immutable: another service of the peer is another SharedService; create one"
	return []moved{
		{"our trust domain", "localcert", fieldValues{"spec.identity.trustDomain": "charlie.example"}, "spec.identity.trustDomain", trustDomain},
		{"the database of our relay", "localcert", fieldValues{
			"spec.relay.storage.postgres": database, "spec.relay.storage.size": absent{}, "spec.relay.storage.storageClassName": absent{},
		}, "spec", "relay.storage.postgres cannot be added or removed later: messages and objects would be left behind; make a new LocalCERT"},
		{"a peer's trust domain", "peercert-bundle", fieldValues{"spec.identity.trustDomain": "charlie.example"}, "spec.identity.trustDomain", trustDomain},
		{"the direction of a feed", "sharedfeed-export", fieldValues{
			"spec.direction": "Import", "spec.export": absent{},
			"spec.import": map[string]any{"peerRef": map[string]any{"name": "bravo"}, "collection": "x"},
		}, "spec", direction},
		{"the peer of an import", "sharedfeed-import", fieldValues{"spec.import.peerRef.name": "charlie"}, "spec.import.peerRef", "peerRef is immutable: another origin is another feed; create another SharedFeed"},
		{"the collection of an import", "sharedfeed-import", fieldValues{"spec.import.collection": "other"}, "spec.import.collection", "collection is immutable: another origin is another feed; create another SharedFeed"},
		{"the direction of a service", "sharedservice-export", fieldValues{
			"spec.direction": "Import", "spec.export": absent{},
			"spec.import": map[string]any{"peerRef": map[string]any{"name": "bravo"}, "port": int64(443)},
		}, "spec", "direction is immutable: create another SharedService"},
		{"the peer of an imported service", "sharedservice-import", fieldValues{"spec.import.peerRef.name": "charlie"}, "spec.import.peerRef", "peerRef is immutable: a service of another peer is another SharedService; create one"},
		{"an imported service", "sharedservice-import", fieldValues{"spec.import.service": "chat"}, "spec.import", imported},
		{"an imported service to the default", "sharedservice-import", fieldValues{"spec.import.service": absent{}}, "spec.import", imported},
		{"the peer of a hotline", "hotline", fieldValues{"spec.peerRef.name": "charlie"}, "spec.peerRef", "peerRef is immutable: create another Hotline"},
	}
}

func withValues(object *unstructured.Unstructured, fields fieldValues) *unstructured.Unstructured {
	for path, value := range fields {
		object = withValue(object, path, value)
	}
	return object
}

// TestRules breaks each CEL rule and expects the field and the rule's message.
func TestRules(t *testing.T) {
	s := start(t)
	objects := fullObjects(t)
	for _, c := range spoiledObjects() {
		t.Run(c.object+" refuses a "+c.name, func(t *testing.T) {
			wantRefusal(t, tryOut(t, s, withValues(objects[c.object], c.set)), c.field, c.message)
		})
	}
}

// TestImmutable changes what may not be changed, and as a control something else.
func TestImmutable(t *testing.T) {
	s := start(t)
	objects := fullObjects(t)
	for name, object := range objects {
		object.SetNamespace(s.Namespace)
		object.SetName(name)
		if err := s.Client.Create(t.Context(), object); err != nil {
			t.Fatalf("creating %s: %v", name, err)
		}
	}
	for _, c := range movedObjects() {
		t.Run("refuses to move "+c.name, func(t *testing.T) {
			stored := objects[c.object].DeepCopy()
			if err := s.Client.Get(t.Context(), client.ObjectKeyFromObject(stored), stored); err != nil {
				t.Fatal(err)
			}
			wantRefusal(t, s.Client.Update(t.Context(), withValues(stored, c.set)), c.field, c.message)

			control := fieldValues{"metadata.labels": map[string]any{"changed": "yes"}}
			if err := s.Client.Update(t.Context(), withValues(stored, control)); err != nil {
				t.Errorf("a change of something else: %v", err)
			}
		})
	}
}

// TestRulesAreAllTried fails when a CEL rule is added without a case that breaks it.
func TestRulesAreAllTried(t *testing.T) {
	objects := fullObjects(t)
	tried := map[string]bool{}
	note := func(object, field, message string) {
		field = strings.TrimPrefix(indexes.ReplaceAllString(field, "[]"), wholeObject)
		tried[objects[object].GetKind()+" "+field+": "+message] = true
	}
	for _, c := range spoiledObjects() {
		note(c.object, c.field, c.message)
	}
	for _, c := range movedObjects() {
		note(c.object, c.field, c.message)
	}
	for kind, schema := range schemas(t) {
		walk("", schema, func(path string, field *apiextensionsv1.JSONSchemaProps) {
			for _, rule := range field.XValidations {
				if key := kind + " " + path + ": " + rule.Message; !tried[key] {
					t.Errorf("no case breaks the rule of %s", key)
				}
				delete(tried, kind+" "+path+": "+rule.Message)
			}
		})
	}
	for key := range tried {
		t.Errorf("a case is about a rule that does not exist: %s", key)
	}
}

// TestAccepted tries what stands just inside the rules.
func TestAccepted(t *testing.T) {
	s := start(t)
	objects := fullObjects(t)
	accepted := []struct {
		name, object string
		set          fieldValues
	}{
		{"every field set", "localcert", nil},
		{"every field set", "localcert-postgres", nil},
		{"every field set", "peercert-bundle", nil},
		{"a bundle by reference", "peercert-bundleref", nil},
		{"every field set", "sharedfeed-export", nil},
		{"every field set", "sharedfeed-import", nil},
		{"every field set", "sharedservice-export", nil},
		{"every field set", "sharedservice-import", nil},
		{"an import under its own name", "sharedservice-import", fieldValues{"spec.import.service": absent{}, "spec.import.from": absent{}, "spec.import.limits": absent{}}},
		{"a name of 63 characters", "sharedservice-import", fieldValues{"metadata.name": strings.Repeat("s", 63)}},
		{"a Service whose name begins with a digit", "sharedservice-export", fieldValues{"spec.export.serviceRef.name": "1misp"}},
		{"every field set", "sharedfeed-source-configmap", nil},
		{"every field set", "sharedfeed-source-taxii", nil},
		{"every field set", "sharedfeed-delivery-misp", nil},
		{"every field set", "sharedfeed-delivery-webhook", nil},
		{"a server with an IPv6 address", "sharedfeed-source-misp", fieldValues{"spec.export.sources[0].pull.misp.url": "https://[2001:db8::1]:8443/feed/"}},
		{"a server without a path", "sharedfeed-source-misp", fieldValues{"spec.export.sources[0].pull.misp.url": "http://misp"}},
		{"an @ behind the host", "sharedfeed-source-misp", fieldValues{"spec.export.sources[0].pull.misp.url": "https://misp.example/a@b?c=%20d@e"}},
		{"a Secret with dots", "sharedfeed-source-misp", fieldValues{"spec.export.sources[0].pull.misp.secretRef.name": "misp.alfa-2.example"}},
		{"a key with dots", "sharedfeed-source-configmap", fieldValues{"spec.export.sources[0].pull.configMapRef.key": ".own_bundle-1.JSON"}},
		{"every field set", "hotline", nil},
		{"a name of 40 characters", "localcert", fieldValues{"metadata.name": strings.Repeat("a", 40)}},
		{"a name of 63 characters", "peercert-bundle", fieldValues{"metadata.name": strings.Repeat("1", 63)}},
		{"a trust domain with all kinds of characters", "localcert", fieldValues{"spec.identity.trustDomain": "a.b-c_d.0"}},
		{"a trust domain of one label", "peercert-bundle", fieldValues{"spec.identity.trustDomain": "b"}},
		{"a display name in another script", "localcert", fieldValues{"spec.identity.displayName": "ЦЕРТ Альфа"}},
		{"an IPv6 address", "peercert-bundle", fieldValues{"spec.endpoints[0].address": "[2001:db8::b]:65535"}},
		{"an address in capital letters", "peercert-bundle", fieldValues{"spec.endpoints[0].address": "RELAY-1.Bravo.example:8443"}},
		{"an address of one label", "peercert-bundle", fieldValues{"spec.endpoints[0].address": "relay:8443"}},
		{"an IPv4 address", "peercert-bundle", fieldValues{"spec.endpoints[0].address": "192.0.2.1:1"}},
		{"no endpoints", "peercert-bundle", fieldValues{"spec.endpoints": absent{}}},
		{"identity without contact and country", "localcert", fieldValues{"spec.identity.contact": absent{}, "spec.identity.country": absent{}}},
		{"nothing but an identity", "localcert", fieldValues{"spec.issuerRef": absent{}, "spec.addresses": absent{}, "spec.relay": absent{}}},
		{"three replicas on a database", "localcert", fieldValues{
			"spec.relay.replicas": int64(3), "spec.relay.storage.postgres": database,
			"spec.relay.storage.size": absent{}, "spec.relay.storage.storageClassName": absent{},
		}},
		{"a volume by number of bytes", "localcert", fieldValues{"spec.relay.storage.size": int64(1 << 30)}},
		{"types of an extension", "sharedfeed-export", fieldValues{"spec.export.rule.types[0]": "x-acme-ticket"}},
		{"a collection by id", "sharedfeed-import", fieldValues{"spec.import.collection": "6f8e1b9e-7a1c-5f4e-9d3b-0a8c2f6f1c11"}},
		{"a receipt due with the acknowledgement", "hotline", fieldValues{"spec.deadlines[0].receiptSeconds": int64(120)}},
		{"mail without TLS to this host", "hotline-smtp", fieldValues{"spec.notifiers[0].smtp.tls": "PlainLoopback", "spec.notifiers[0].smtp.server": "[::1]:25", "spec.notifiers[0].smtp.authSecretRef": absent{}}},
		{"only an acknowledgement's deadline", "hotline", fieldValues{"spec.deadlines[0].receiptSeconds": absent{}}},
	}
	for _, c := range accepted {
		t.Run(c.object+" accepts "+c.name, func(t *testing.T) {
			if err := tryOut(t, s, withValues(objects[c.object], c.set)); err != nil {
				t.Error(err)
			}
		})
	}
	if got := s.Warnings.all(); len(got) > 0 {
		t.Errorf("the API server warned: %q", got)
	}
}
