// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stix

import (
	"fmt"
	"strings"
	"testing"
)

// standardTypes are all types of STIX 2.1 (sections 4 to 7), and of 2.0 those that it
// does not have.
var standardTypes = strings.Fields(`attack-pattern campaign course-of-action grouping identity incident indicator infrastructure
	intrusion-set location malware malware-analysis note observed-data opinion report threat-actor tool vulnerability
	artifact autonomous-system directory domain-name email-addr email-message file ipv4-addr ipv6-addr mac-addr mutex
	network-traffic process software url user-account windows-registry-key x509-certificate
	relationship sighting extension-definition language-content marking-definition`)

// TestEveryTypeIsKeptAsItCame: standard and custom types, of both versions, with what we
// know nothing of in them.
func TestEveryTypeIsKeptAsItCame(t *testing.T) {
	for _, typ := range append(standardTypes, "x-alfa-sensor", "alfa-line", "a1b") {
		for spec, member := range map[string]string{Spec20: "", Spec21: `"spec_version" : "2.1",`} {
			raw := fmt.Sprintf("{ \"type\":%q,%s\"id\":\"%s--8E2e2d2b-17d4-4cbf-938f-98ee46b3cd3f\", \"created\":\"2026-01-01T00:00:00.1234567Z\",\n\t\"x_\\u00e9\" : [1.0e+2, -0, {\"\": null}],\"revoked\":true}", typ, member, typ)
			o, err := Parse([]byte(raw))
			if err != nil || string(o.Raw) != raw || o.Type != typ || o.SpecVersion != spec || !o.Revoked || o.Version.Nanosecond() != 123456000 {
				t.Errorf("%s %s: %+v, %v", typ, spec, o, err)
			}
			r := NewReader(strings.NewReader(`{"objects":[` + raw + `]}`))
			if again, err := r.Read(); err != nil || string(again.Raw) != raw {
				t.Errorf("%s %s, read: %s, %v", typ, spec, again.Raw, err)
			}
		}
	}
}
