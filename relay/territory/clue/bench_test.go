// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package clue

import (
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/stix"
)

func BenchmarkFind(b *testing.B) {
	o, err := stix.Parse([]byte(`{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-000000000001",` +
		`"created_by_ref":"identity--00000000-0000-4000-8000-000000000001","created":"2026-03-01T10:00:00.000Z","modified":"2026-03-02T10:00:00.000Z",` +
		`"name":"Command and control server","description":"` + strings.Repeat("seen by a sensor ", 25) + `","indicator_types":["malicious-activity"],` +
		`"pattern":"[ipv4-addr:value = '192.0.2.7']","pattern_type":"stix","valid_from":"2026-03-01T10:00:00Z","confidence":80}`))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(o.Raw)))
	b.ReportAllocs()
	for b.Loop() {
		if c := Find(o); len(c.List) != 1 {
			b.Fatal(c)
		}
	}
}
