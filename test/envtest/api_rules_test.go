// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"fmt"
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

const (
	trustDomainMessage   = "trustDomain must be a SPIFFE trust domain: lower-case letters, digits, '.', '-' and '_', beginning and ending with a letter or digit"
	displayNameMessage   = "displayName must be one line, without control characters"
	countryMessage       = "country must be two capital letters, as in ISO 3166-1 alpha-2"
	emailMessage         = "email must be an address such as duty@cert.alfa.example"
	telephoneMessage     = "telephone must begin with '+' and the country code, and hold digits and spaces only"
	addressMessage       = "address must be HOST:PORT, for example relay.bravo.example:8443; an IPv6 host stands in brackets and the port is 1 to 65535"
	labelMessage         = "label must be one line, without control characters"
	twiceMessage         = "a data set and a warning list must not have the same name"
	originMessage        = "exactly one of http and configMapRef must be set"
	pullMessage          = "exactly one of taxii, stix, misp and configMapRef must be set"
	urlMessage           = "url must begin with https:// or http:// and name a host, without spaces; credentials belong into secretRef"
	networksMessage      = "networks must be in CIDR notation, such as 192.0.2.0/24"
	countriesMessage     = "countries must be two capital letters each, as in ISO 3166-1 alpha-2"
	domainsMessage       = "domains must be DNS names in lower-case letters, such as example or gov.example"
	replicasMessage      = "replicas greater than 1 needs storage.postgres: one relay alone can use a volume"
	postgresMessage      = "size and storageClassName are for a volume: with postgres there is none"
	sizeMessage          = "size must be greater than zero, for example 10Gi"
	localNameMessage     = "metadata.name must begin with a letter, and have no dots and at most 40 characters: the relay's Services are named after it"
	peerNameMessage      = "metadata.name must have no dots and at most 63 characters: the other kinds name the peer by it"
	feedNameMessage      = "metadata.name must have no dots and at most 63 characters: it is the alias of the collection"
	serviceNameMessage   = "metadata.name must hold at most 63 lower-case letters, digits and '-', and begin with a letter: peers ask for an export by it, and the Service of an import has it"
	serviceRefMessage    = "name must be the name of a Service of this namespace: lower-case letters, digits and '-'"
	serviceMessage       = "service must be the name of the peer's SharedService: lower-case letters, digits and '-', beginning with a letter"
	transitMessage       = "transit must name third peers, not the one of peerRef"
	notifierMessage      = "exactly one of webhook, alertmanager and smtp must be set"
	notifyNameMessage    = "name must hold lower-case letters, digits and '-'"
	alertLabelMessage    = "alertname and labels that begin with certlink_ or __ are not yours to set"
	plainMailMessage     = "tls PlainLoopback is for a server on the relay's own host, without authSecretRef"
	repeatsMessage       = "maxRepeats says nothing without repeatSeconds"
	hotlineNameMessage   = "metadata.name must have no dots and at most 63 characters"
	trustMessage         = "exactly one of the fields in [bundle bundleRef] must be set"
	bundleMessage        = "bundle must hold the peer's CA certificates in PEM, beginning with -----BEGIN CERTIFICATE-----"
	privateKeyMessage    = "bundle must hold certificates only: remove the private key, and consider it disclosed"
	directionMessage     = "direction Export needs export and no import; direction Import needs import and no export"
	titleMessage         = "title must be one line, without control characters"
	peerRefMessage       = "name must be the name of a PeerCERT of this namespace: lower-case letters, digits and '-'"
	deliveryMessage      = "exactly one of taxii, misp and webhook must be set"
	identitiesMessage    = "identities must be ids of STIX identities, such as identity--f431f809-377b-45e0-aa1c-6a4751cae5ff"
	secretNameMessage    = "name must be the name of a Secret of this namespace: lower-case letters, digits, '-' and '.'"
	configMapNameMessage = "name must be the name of a ConfigMap of this namespace: lower-case letters, digits, '-' and '.'"
	issuerNameMessage    = "name must be the name of an issuer of cert-manager: lower-case letters, digits, '-' and '.'"
	propertiesMessage    = "properties must hold names of STIX properties: letters, digits, '_' and '-'"
	keyMessage           = "key must be a key of a ConfigMap: letters, digits, '.', '_' and '-', not beginning with '..'"
	sourceMessage        = "name must hold lower-case letters, digits and '-', and begin and end with a letter or digit"
	typesMessage         = "types must hold names of STIX object types, such as indicator or attack-pattern: lower-case letters, digits and '-'"
	collectionMessage    = "collection must be the alias or id of the peer's collection, which is the name of their SharedFeed: letters, digits, '.', '_' and '-'"
	lineChecksMessage    = "missedAfterSeconds must be longer than intervalSeconds, which is 3600 unless it is set"
	deadlineMessage      = "receiptSeconds must not be longer than acknowledgementSeconds"
)

const wholeObject = "<nil>" // how the API server names the field of a rule on the object itself

// identityOf are the rules about who a CERT is, which two kinds share.
func identityOf(object string) []spoiled {
	one := func(name, field string, value any, message string) spoiled {
		return spoiled{name: name, object: object, set: fieldValues{field: value}, field: field, message: message}
	}
	return []spoiled{
		one("trust domain with a capital letter", "spec.identity.trustDomain", "Alfa.example", trustDomainMessage),
		one("trust domain that is a URI", "spec.identity.trustDomain", "spiffe://alfa.example", trustDomainMessage),
		one("trust domain with a port", "spec.identity.trustDomain", "alfa.example:8443", trustDomainMessage),
		one("trust domain that ends with a dot", "spec.identity.trustDomain", "alfa.example.", trustDomainMessage),
		one("trust domain with a line break", "spec.identity.trustDomain", "alfa.example\n", trustDomainMessage),
		one("trust domain in another script", "spec.identity.trustDomain", "alfа.example", trustDomainMessage),
		one("display name of two lines", "spec.identity.displayName", "CERT\nAlfa", displayNameMessage),
		one("display name with an escape sequence", "spec.identity.displayName", "CERT \x1b[31mAlfa", displayNameMessage),
		one("country in small letters", "spec.identity.country", "xa", countryMessage),
		one("country with a digit", "spec.identity.country", "X1", countryMessage),
		one("email without a domain", "spec.identity.contact.email", "duty@", emailMessage),
		one("email with a name before it", "spec.identity.contact.email", "Duty <duty@alfa.example>", emailMessage),
		one("email with a line break", "spec.identity.contact.email", "duty@alfa.example\nBcc:x", emailMessage),
		one("telephone without the country code", "spec.identity.contact.telephone", "0555 0100", telephoneMessage),
		one("telephone with letters", "spec.identity.contact.telephone", "+999 CALL", telephoneMessage),
	}
}

// endpointOf are the rules about an address, which two kinds share.
func endpointOf(object, list string) []spoiled {
	var cases []spoiled
	for name, address := range map[string]string{
		"address without a port":               "relay.alfa.example",
		"address with port 0":                  "relay.alfa.example:0",
		"address with a port beyond 65535":     "relay.alfa.example:65536",
		"address with a named port":            "relay.alfa.example:https",
		"address that is a URL":                "https://relay.alfa.example:8443",
		"address with a path":                  "relay.alfa.example:8443/x",
		"address with a bare IPv6 host":        "2001:db8::a:8443",
		"address with a malformed IPv6 host":   "[2001:db8:::a]:8443",
		"address with an empty host":           ":8443",
		"address whose host begins with a dot": ".alfa.example:8443",
		"address with an empty label":          "relay..alfa.example:8443",
		"address whose label ends with a dash": "relay-.alfa.example:8443",
		"address with a space":                 "relay alfa:8443",
	} {
		field := list + "[0].address"
		cases = append(cases, spoiled{name: name, object: object, set: fieldValues{field: address}, field: field, message: addressMessage})
	}
	field := list + "[0].label"
	return append(cases, spoiled{name: "label with a tab", object: object, set: fieldValues{field: "fibre\t1"}, field: field, message: labelMessage})
}

// nameOf are the rules about the name of an object.
func nameOf(object, message string, longest int) []spoiled {
	one := func(name, value string) spoiled {
		return spoiled{name: name, object: object, set: fieldValues{"metadata.name": value}, field: wholeObject, message: message}
	}
	return []spoiled{
		one("name with a dot", "alfa.example"),
		one("name that is too long", strings.Repeat("a", longest+1)),
	}
}

// peerRefOf is the rule about a reference to a PeerCERT.
func peerRefOf(object, field string) spoiled {
	return spoiled{name: "reference that is no name of a PeerCERT", object: object, set: fieldValues{field: "bravo.example"}, field: field, message: peerRefMessage}
}

// database is a storage of PostgreSQL.
var database = map[string]any{"secretRef": map[string]any{"name": "alfa-db-app"}}

// territoryOf are the rules about data sets and about a peer's territory.
func territoryOf() []spoiled {
	cases := []spoiled{
		{"data set and warning list of one name", "localcert", fieldValues{"spec.territory.warningLists[0].name": "registries"}, "spec.territory", twiceMessage},
		{"country in small letters in a territory", "peercert-bundle", fieldValues{"spec.territory.countries[0]": "xb"}, "spec.territory.countries[0]", countriesMessage},
		{"network without a length", "peercert-bundle", fieldValues{"spec.territory.networks[0]": "192.0.2.0"}, "spec.territory.networks[0]", networksMessage},
		{"domain in capital letters", "peercert-bundle", fieldValues{"spec.territory.domains[0]": "Gov.example"}, "spec.territory.domains[0]", domainsMessage},
	}
	for _, list := range []string{"spec.territory.datasets[0]", "spec.territory.warningLists[0]"} {
		cases = append(cases,
			spoiled{"name with a dot in " + list, "localcert", fieldValues{list + ".name": "a.b"}, list + ".name", sourceMessage},
			spoiled{"two origins in " + list, "localcert", fieldValues{list + ".origin.configMapRef": map[string]any{"name": "lists"}}, list + ".origin", originMessage},
			spoiled{"no origin in " + list, "localcert", fieldValues{list + ".origin.http": absent{}}, list + ".origin", originMessage},
			spoiled{"URL of a file in " + list, "localcert", fieldValues{list + ".origin.http.url": "file:///etc/passwd"}, list + ".origin.http.url", urlMessage},
		)
	}
	return cases
}

func lineMessage(field string) string { return field + " must be one line, without control characters" }

// remotesOf are the rules about servers, and about the Secrets and ConfigMaps that are
// named: a name that the API server or the kubelet would refuse later would stop the
// relay's whole namespace, and a key with a slash would lead out of the mount.
func remotesOf() []spoiled {
	var cases []spoiled
	one := func(object, field string, message string, values ...string) {
		for _, value := range values {
			cases = append(cases, spoiled{fmt.Sprintf("%s %q", field, value), object, fieldValues{field: value}, field, message})
		}
	}
	secret := func(object, field string) {
		one(object, field+".name", secretNameMessage, "a/b", "..", "Charlie", "a:b")
	}
	configMap := func(object, field string) {
		one(object, field+".name", configMapNameMessage, "../secrets/charlie", "a%b", "Lists")
		one(object, field+".key", keyMessage, "../../secrets/charlie/token", "..", ".", "a b")
	}
	server := func(object, field string) {
		one(object, field+".url", urlMessage, "https://", "https:///feed", "https://user:password@misp.example/", "https://misp.example/a b", "https://misp.example/a\u2003b", "https://misp.example:https/", "https://misp.example/a\nb", "http://:80/", "ftp://misp.example/")
		secret(object, field+".secretRef")
	}
	server("sharedfeed-source-taxii", "spec.export.sources[0].pull.taxii.server")
	server("sharedfeed-source-stix", "spec.export.sources[0].pull.stix")
	server("sharedfeed-source-misp", "spec.export.sources[0].pull.misp")
	configMap("sharedfeed-source-configmap", "spec.export.sources[0].pull.configMapRef")
	server("sharedfeed-import", "spec.import.deliveries[0].taxii.server")
	server("sharedfeed-delivery-webhook", "spec.import.deliveries[0].webhook.receiver")
	for _, list := range []string{"spec.territory.datasets[0].origin", "spec.territory.warningLists[0].origin"} {
		server("localcert", list+".http")
		configMap("localcert-postgres", list+".configMapRef")
	}
	secret("localcert-postgres", "spec.relay.storage.postgres.secretRef")
	server("hotline-escalation", "spec.notifiers[0].webhook.receiver")
	server("hotline-alertmanager", "spec.notifiers[0].alertmanager.servers[0]")
	secret("hotline-smtp", "spec.notifiers[0].smtp.authSecretRef")
	configMap("peercert-bundleref", "spec.trust.bundleRef")
	one("localcert", "spec.issuerRef.name", issuerNameMessage, "a/b", "..", "Alfa")
	one("sharedfeed-source-taxii", "spec.export.sources[0].pull.taxii.collection", lineMessage("collection"), "a\nb", "\x1b[31m")
	one("sharedfeed-import", "spec.import.deliveries[0].taxii.collection", lineMessage("collection"), "a\tb")
	one("sharedfeed-delivery-misp", "spec.import.deliveries[0].misp.organisation", lineMessage("organisation"), "CERT\nBravo")
	one("sharedfeed-export", "spec.export.redaction.properties[0]", propertiesMessage, "x ticket", "x.ticket")
	return append(cases, spoiled{"identity that is none", "peercert-bundle", fieldValues{"spec.identities[0]": "location--f431f809-377b-45e0-aa1c-6a4751cae5ff"}, "spec.identities[0]", identitiesMessage})
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
