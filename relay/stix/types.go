// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stix

// standard are the types that STIX 2.1 defines: domain objects (section 4), relationship objects
// (section 5), observables (section 6), and those of section 7.
var standard = map[string]bool{
	"attack-pattern": true, "campaign": true, "course-of-action": true, "grouping": true, "identity": true, "incident": true,
	"indicator": true, "infrastructure": true, "intrusion-set": true, "location": true, "malware": true, "malware-analysis": true,
	"note": true, "observed-data": true, "opinion": true, "report": true, "threat-actor": true, "tool": true, "vulnerability": true,
	"relationship": true, "sighting": true,
	"artifact": true, "autonomous-system": true, "directory": true, "domain-name": true, "email-addr": true, "email-message": true,
	"file": true, "ipv4-addr": true, "ipv6-addr": true, "mac-addr": true, "mutex": true, "network-traffic": true, "process": true,
	"software": true, "url": true, "user-account": true, "windows-registry-key": true, "x509-certificate": true,
	"language-content": true, TypeMarkingDefinition: true, "extension-definition": true,
}

// Standard tells whether STIX 2.1 defines a type. Others are their author's invention.
func Standard(typ string) bool { return standard[typ] }
