// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"net/netip"
	"strconv"
	"strings"
)

// term is one comparison of a STIX pattern.
type term struct {
	path  string
	value string
	// number: the value is one, and stands without quotes.
	number bool
}

var patternEscapes = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

func (t term) String() string {
	if t.number {
		return t.path + " = " + t.value
	}
	return t.path + " = '" + patternEscapes.Replace(t.value) + "'"
}

// pattern joins comparisons that one observation must all satisfy (STIX 2.1 section 9).
func pattern(terms []term) string {
	parts := make([]string, len(terms))
	for i, t := range terms {
		parts[i] = t.String()
	}
	return "[" + strings.Join(parts, " AND ") + "]"
}

// hashNames are the attribute types that are hashes of files, with their names in STIX.
var hashNames = map[string]string{
	"md5": "MD5", "sha1": "SHA-1", "sha256": "SHA-256", "sha512": "SHA-512",
	"sha3-256": "SHA3-256", "sha3-512": "SHA3-512", "ssdeep": "SSDEEP", "tlsh": "TLSH",
}

// hashPath writes the path of a hash; names with hyphens stand in quotes.
func hashPath(root, name string) string {
	if strings.Contains(name, "-") {
		name = "'" + name + "'"
	}
	return root + ":hashes." + name
}

// languages are the attribute types that are patterns already.
var languages = map[string]string{"yara": "yara", "snort": "snort", "sigma": "sigma", "suricata": "suricata"}

// plainPaths are the attribute types whose value is compared with one property.
var plainPaths = map[string]string{
	"domain": "domain-name:value", "hostname": "domain-name:value",
	"url": "url:value", "uri": "url:value", "link": "url:value",
	"filename": "file:name", "mutex": "mutex:name", "regkey": "windows-registry-key:key",
	"email": "email-addr:value", "email-src": "email-message:from_ref.value", "email-dst": "email-message:to_refs[*].value",
	"email-subject": "email-message:subject", "mac-address": "mac-addr:value",
	"user-agent":                  "network-traffic:extensions.'http-request-ext'.request_header.'User-Agent'",
	"x509-fingerprint-md5":        "x509-certificate:hashes.MD5",
	"x509-fingerprint-sha1":       "x509-certificate:hashes.'SHA-1'",
	"x509-fingerprint-sha256":     "x509-certificate:hashes.'SHA-256'",
	"mime-type":                   "file:mime_type",
	"whois-registrant-email":      "email-addr:value",
	"email-reply-to":              "email-addr:value",
	"target-email":                "email-addr:value",
	"email-message-id":            "email-message:message_id",
	"windows-service-name":        "process:extensions.'windows-service-ext'.service_name",
	"windows-service-displayname": "process:extensions.'windows-service-ext'.display_name",
}

// terms are the comparisons that an attribute stands for; nil if it stands for none.
func terms(typ, value string) []term {
	if value == "" {
		return nil
	}
	if path := plainPaths[typ]; path != "" {
		return []term{{path: path, value: value}}
	}
	if name := hashNames[typ]; name != "" {
		return []term{{path: hashPath("file", name), value: value}}
	}
	switch typ {
	case "ip-src", "ip-dst":
		return addressTerms(side(typ), value)
	case "AS":
		n := strings.TrimPrefix(strings.ToUpper(value), "AS")
		if _, err := strconv.ParseUint(n, 10, 32); err != nil {
			return nil
		}
		return []term{{path: "autonomous-system:number", value: n, number: true}}
	}
	kind, rest, composite := strings.Cut(typ, "|")
	first, second, whole := strings.Cut(value, "|")
	if !composite || !whole || first == "" || second == "" {
		return nil
	}
	return pairTerms(kind, rest, first, second)
}

// pairTerms are those of a composite attribute.
func pairTerms(kind, rest, first, second string) []term {
	switch {
	case (kind == "ip-src" || kind == "ip-dst") && rest == "port":
		return withPort(addressTerms(side(kind), first), side(kind), second)
	case kind == "hostname" && rest == "port":
		return withPort([]term{
			{path: "network-traffic:dst_ref.type", value: "domain-name"}, {path: "network-traffic:dst_ref.value", value: first},
		}, "dst", second)
	case kind == "domain" && rest == "ip":
		if _, ok := addressType(second); !ok {
			return nil
		}
		return []term{{path: "domain-name:value", value: first}, {path: "domain-name:resolves_to_refs[*].value", value: second}}
	case kind == "filename" && hashNames[rest] != "":
		return []term{{path: "file:name", value: first}, {path: hashPath("file", hashNames[rest]), value: second}}
	case kind == "regkey" && rest == "value":
		return []term{{path: "windows-registry-key:key", value: first}, {path: "windows-registry-key:values[*].data", value: second}}
	}
	return nil
}

// side of a connection that an attribute type speaks of.
func side(typ string) string {
	if strings.HasPrefix(typ, "ip-src") {
		return "src"
	}
	return "dst"
}

func addressTerms(side, value string) []term {
	typ, ok := addressType(value)
	if !ok {
		return nil
	}
	return []term{
		{path: "network-traffic:" + side + "_ref.type", value: typ}, {path: "network-traffic:" + side + "_ref.value", value: value},
	}
}

func withPort(terms []term, side, port string) []term {
	if _, err := strconv.ParseUint(port, 10, 16); err != nil || terms == nil {
		return nil
	}
	return append(terms, term{path: "network-traffic:" + side + "_port", value: port, number: true})
}

// addressType is the STIX type of an address or a network.
func addressType(value string) (string, bool) {
	addr, err := netip.ParseAddr(value)
	if err != nil {
		prefix, err := netip.ParsePrefix(value)
		if err != nil {
			return "", false
		}
		addr = prefix.Addr()
	}
	if addr.Is4() {
		return "ipv4-addr", true
	}
	return "ipv6-addr", true
}
