// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import "strings"

// singlePaths are the MISP types of properties that are compared alone.
var singlePaths = map[string][2]string{
	"ipv4-addr:value": {"ip-dst", "Network activity"}, "ipv6-addr:value": {"ip-dst", "Network activity"},
	"domain-name:value": {"domain", "Network activity"}, "url:value": {"url", "Network activity"},
	"file:name": {"filename", "Payload delivery"}, "mutex:name": {"mutex", "Artifacts dropped"},
	"windows-registry-key:key": {"regkey", "Persistence mechanism"}, "email-addr:value": {"email", "Network activity"},
	"email-message:from_ref.value": {"email-src", "Payload delivery"}, "email-message:to_refs[*].value": {"email-dst", "Network activity"},
	"email-message:sender_ref.value": {"email-src", "Payload delivery"},
	"email-message:subject":          {"email-subject", "Payload delivery"}, "mac-addr:value": {"mac-address", "Network activity"},
	"autonomous-system:number":                                                  {"AS", "Network activity"},
	"x509-certificate:hashes.MD5":                                               {"x509-fingerprint-md5", "Network activity"},
	"x509-certificate:hashes.'SHA-1'":                                           {"x509-fingerprint-sha1", "Network activity"},
	"x509-certificate:hashes.'SHA-256'":                                         {"x509-fingerprint-sha256", "Network activity"},
	"network-traffic:dst_ref.value":                                             {"ip-dst", "Network activity"},
	"network-traffic:src_ref.value":                                             {"ip-src", "Network activity"},
	"domain-name:resolves_to_refs[*].value":                                     {"ip-dst", "Network activity"},
	"network-traffic:extensions.'http-request-ext'.request_header.'User-Agent'": {"user-agent", "Network activity"},
}

// fromTerms finds the attributes that say the same as comparisons which must all be
// true; nil if there are none.
func fromTerms(group []term) []Attribute {
	values := map[string]string{}
	for _, t := range group {
		path := normal(t.path)
		if _, twice := values[path]; twice || t.value == "" {
			return nil
		}
		values[path] = t.value
	}
	if list := fileTerms(values); list != nil {
		return list
	}
	switch len(values) {
	case 1:
		for path, value := range values {
			if kind, ok := singlePaths[path]; ok {
				if kind[0] == "AS" {
					value = "AS" + value
				}
				return named(kind[0], kind[1], value, "")
			}
		}
	case 2:
		if d, ip := values["domain-name:value"], values["domain-name:resolves_to_refs[*].value"]; d != "" && ip != "" {
			return composite("domain|ip", "Network activity", d, ip)
		}
		if k, v := values["windows-registry-key:key"], values["windows-registry-key:values[*].data"]; k != "" && v != "" {
			return composite("regkey|value", "Persistence mechanism", k, v)
		}
	}
	return trafficTerms(values)
}

// normal writes one path in one way: quotes only where they are needed.
func normal(path string) string {
	if root, name, ok := strings.Cut(path, ":hashes."); ok {
		return hashPath(root, strings.ToUpper(strings.Trim(name, "'")))
	}
	return path
}

func composite(typ, category, first, second string) []Attribute {
	if strings.Contains(first, "|") {
		return nil
	}
	return named(typ, category, first+"|"+second, "")
}

// fileTerms are comparisons of one file's name and hashes: each hash with the name.
func fileTerms(values map[string]string) []Attribute {
	name, known := values["file:name"], 0
	if name != "" {
		known++
	}
	var list []Attribute
	for _, typ := range hashTypes {
		value := values[hashPath("file", hashNames[typ])]
		if value == "" {
			continue
		}
		known++
		part := named(typ, "Payload delivery", value, "")
		if name != "" {
			part = composite("filename|"+typ, "Payload delivery", name, value)
		}
		if part == nil {
			return nil
		}
		list = append(list, part...)
	}
	if known != len(values) {
		return nil
	}
	return list
}

// trafficTerms are comparisons of one end of a connection.
func trafficTerms(values map[string]string) []Attribute {
	for _, side := range []string{"dst", "src"} {
		root := "network-traffic:" + side + "_"
		typ, value, port := values[root+"ref.type"], values[root+"ref.value"], values[root+"port"]
		known := 0
		for _, v := range []string{typ, value, port} {
			if v != "" {
				known++
			}
		}
		if value == "" || known != len(values) {
			continue
		}
		kind := "ip-" + side
		if typ == "domain-name" {
			kind = "hostname"
		}
		if port == "" {
			return named(kind, "Network activity", value, "")
		}
		if kind == "hostname" && side == "src" {
			return nil
		}
		return composite(kind+"|port", "Network activity", value, port)
	}
	return nil
}
