// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"fmt"
	"strings"
)

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
