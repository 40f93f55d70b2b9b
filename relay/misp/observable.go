// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"encoding/json"
	"strconv"
	"strings"
)

// fields are the members of a STIX object; marshalled, they stand in the order of
// their names.
type fields map[string]any

// observable completes a cyber observable: its identifier comes of all that it says, its
// marking included. So the same observation is the same object, and two that differ in
// anything are two: observables have no versions.
func (f fields) observable(typ string, m marking) fields {
	f["type"], f["spec_version"] = typ, "2.1"
	if id := m.id(); id != "" {
		f["object_marking_refs"] = []string{id}
	}
	text, err := json.Marshal(f)
	if err != nil {
		return nil // strings, numbers and maps of them are always marshalled
	}
	f["id"] = derived(typ, string(text))
	return f
}

func (f fields) id() string {
	id, _ := f["id"].(string)
	return id
}

// plainObservables are the attribute types whose value is one property of one observable.
var plainObservables = map[string][2]string{
	"domain": {"domain-name", "value"}, "hostname": {"domain-name", "value"},
	"url": {"url", "value"}, "uri": {"url", "value"}, "link": {"url", "value"},
	"filename": {"file", "name"}, "mutex": {"mutex", "name"}, "regkey": {"windows-registry-key", "key"},
	"email": {"email-addr", "value"}, "email-src": {"email-addr", "value"}, "email-dst": {"email-addr", "value"},
	"email-reply-to": {"email-addr", "value"}, "target-email": {"email-addr", "value"}, "whois-registrant-email": {"email-addr", "value"},
	"mac-address": {"mac-addr", "value"},
}

// observables are what an attribute that is no indicator says was there; nil if there
// is no type for it.
func observables(typ, value string, m marking) []fields {
	if value == "" {
		return nil
	}
	if p, ok := plainObservables[typ]; ok {
		return []fields{fields{p[1]: value}.observable(p[0], m)}
	}
	if name := hashNames[typ]; name != "" {
		return []fields{fields{"hashes": map[string]string{name: value}}.observable("file", m)}
	}
	switch typ {
	case "ip-src", "ip-dst":
		return addressObservable(value, m)
	case "email-subject":
		return []fields{fields{"is_multipart": false, "subject": value}.observable("email-message", m)}
	case "AS":
		n, err := strconv.ParseUint(strings.TrimPrefix(strings.ToUpper(value), "AS"), 10, 32)
		if err != nil {
			return nil
		}
		return []fields{fields{"number": n}.observable("autonomous-system", m)}
	case "x509-fingerprint-md5", "x509-fingerprint-sha1", "x509-fingerprint-sha256":
		return []fields{fields{"hashes": map[string]string{hashNames[strings.TrimPrefix(typ, "x509-fingerprint-")]: value}}.observable("x509-certificate", m)}
	}
	kind, rest, composite := strings.Cut(typ, "|")
	first, second, whole := strings.Cut(value, "|")
	if !composite || !whole || first == "" || second == "" {
		return nil
	}
	return pairObservables(kind, rest, first, second, m)
}

func addressObservable(value string, m marking) []fields {
	typ, ok := addressType(value)
	if !ok {
		return nil
	}
	return []fields{fields{"value": value}.observable(typ, m)}
}

func pairObservables(kind, rest, first, second string, m marking) []fields {
	switch {
	case rest == "port":
		port, err := strconv.ParseUint(second, 10, 16)
		ends := observables(kind, first, m)
		if err != nil || ends == nil {
			return nil
		}
		traffic := fields{side(kind) + "_ref": ends[0].id(), side(kind) + "_port": port, "protocols": []string{"tcp"}}
		return append(ends, traffic.observable("network-traffic", m))
	case kind == "domain" && rest == "ip":
		address := addressObservable(second, m)
		if address == nil {
			return nil
		}
		return append(address, fields{"value": first, "resolves_to_refs": []string{address[0].id()}}.observable("domain-name", m))
	case kind == "filename" && hashNames[rest] != "":
		return []fields{fields{"name": first, "hashes": map[string]string{hashNames[rest]: second}}.observable("file", m)}
	case kind == "regkey" && rest == "value":
		return []fields{fields{"key": first, "values": []map[string]string{{"data": second, "data_type": "REG_SZ"}}}.observable("windows-registry-key", m)}
	}
	return nil
}
