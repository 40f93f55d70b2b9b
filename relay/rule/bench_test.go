// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package rule

import (
	"fmt"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/territory"
)

// benchObject is an indicator of about 1.1 kB, as feeds carry them.
func benchObject() []byte {
	return fmt.Appendf(nil, `{"type":"indicator","spec_version":"2.1","id":"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",`+
		`"created_by_ref":"identity--f431f809-377b-45e0-aa1c-6a4751cae5ff","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-02T00:00:00.000Z",`+
		`"name":"Command and control","description":"%s","indicator_types":["malicious-activity"],"confidence":75,"labels":["botnet","c2"],`+
		`"pattern":"[ipv4-addr:value = '192.0.2.77']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z","object_marking_refs":["%s"]}`,
		strings.Repeat("What was seen of it in January. ", 15), green2)
}

// BenchmarkDecide is one decision about an object that was parsed.
func BenchmarkDecide(b *testing.B) {
	for name, r := range map[string]config.Rule{
		"tlp":     {MaxTLP: "GREEN"},
		"tlp_cel": {MaxTLP: "GREEN", CEL: `object.confidence >= 50 && "botnet" in object.labels`},
		"tlp_cel_confidence_age": {
			MaxTLP: "GREEN", CEL: `object.confidence >= 50 && "botnet" in object.labels`, MinConfidence: 10, MaxAgeDays: 36500,
		},
		"tlp_cel_territory": {
			MaxTLP: "GREEN", CEL: `object.confidence >= 50 && "botnet" in object.labels`, EmanatesFrom: config.FromPeer,
		},
	} {
		b.Run(name, func(b *testing.B) {
			p, err := NewPolicy(r, []config.Source{{Name: "own"}}, nil)
			if err != nil {
				b.Fatal(err)
			}
			area, err := territory.NewArea(config.PeerTerritory{Networks: []string{"192.0.2.0/24"}})
			if err != nil {
				b.Fatal(err)
			}
			p = p.Toward(area, nil)
			o, err := stix.Parse(benchObject())
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if j := p.Judge(Question{Source: "own", Now: noonOf}, o); !j.Share {
					b.Fatal(j)
				}
			}
		})
	}
}
