// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package territory

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/territory/delegation"
	"github.com/certlink/certlink/relay/territory/geo"
	"github.com/certlink/certlink/relay/territory/span"
	"github.com/certlink/certlink/relay/territory/warninglist"
)

// benchRanges is about what all registries together delegated of IPv4 and IPv6.
const benchRanges = 300_000

// bigWorld is an atlas with tables of a realistic size.
func bigWorld(t testing.TB) *Atlas {
	t.Helper()
	rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same numbers each time
	country := func() string {
		return string([]byte{'X', 'A' + byte(rnd.IntN(26))})
	}
	var text strings.Builder
	text.WriteString("2|testnic|20260101|1|19830101|20260101|+0000\n")
	var places span.Builder[geo.Place]
	var numbers span.Builder[uint32]
	for i := range benchRanges {
		if i%4 == 3 {
			six := netip.AddrFrom16([16]byte{0x20, byte(i >> 16), byte(i >> 8), byte(i)})
			_, _ = fmt.Fprintf(&text, "testnic|%s|ipv6|%s|32|20100101|allocated|h%d\n", country(), six, i)
			c, _ := span.ParseCountry(country())
			places.Prefix(netip.PrefixFrom(six, 32), geo.Place{Country: c, Registered: c})
			continue
		}
		four := netip.AddrFrom4([4]byte{byte(1 + i>>14), byte(i >> 6), byte(i << 2), 0})
		_, _ = fmt.Fprintf(&text, "testnic|%s|ipv4|%s|1024|20%02d0101|allocated|h%d\n", country(), four, i%26, i)
		c, _ := span.ParseCountry(country())
		places.Prefix(netip.PrefixFrom(four, 22), geo.Place{Country: c, Registered: c})
		numbers.Prefix(netip.PrefixFrom(four, 22), uint32(i%80_000+1))
	}
	for i := range 80_000 {
		_, _ = fmt.Fprintf(&text, "testnic|%s|asn|%d|1|20100101|allocated|h%d\n", country(), i+1, i)
	}
	set, err := delegation.Parse(strings.NewReader(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	return newAtlas([]*dataset{
		{"rir", []*snapshot{{cite: "rir@2026-01-01", date: set.Date, registry: set}}},
		{"places", []*snapshot{{cite: "places@2026-01-01", date: set.Date, countries: &geo.Countries{Table: places.Table(), Build: set.Date}}}},
		{"systems", []*snapshot{{cite: "systems@2026-01-01", date: set.Date, systems: &geo.Systems{Table: numbers.Table(), Build: set.Date}}}},
	}, nil, nil, nil)
}

// indicators are of the size that feeds have, with one address each.
func indicators(t testing.TB, n int) []stix.Object {
	t.Helper()
	out := make([]stix.Object, n)
	for i := range out {
		raw := fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-%012d",`+
			`"created_by_ref":"identity--00000000-0000-4000-8000-000000000001","created":"2026-03-01T10:00:00.000Z","modified":"2026-03-02T10:00:00.000Z",`+
			`"name":"Command and control server","description":"%s","indicator_types":["malicious-activity"],`+
			`"pattern":"[ipv4-addr:value = '%d.%d.%d.7']","pattern_type":"stix","valid_from":"2026-03-01T10:00:00Z",`+
			`"kill_chain_phases":[{"kill_chain_name":"mitre-attack","phase_name":"command-and-control"}],"confidence":80,`+
			`"object_marking_refs":["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"]}`,
			i, strings.Repeat("seen by a sensor ", 25), 1+i%18, i/18%256, i*4%256)
		o, err := stix.Parse([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		out[i] = o
	}
	return out
}

func BenchmarkLook(b *testing.B) {
	atlas := bigWorld(b)
	area, err := NewArea(config.PeerTerritory{Countries: []string{"XA"}, Networks: []string{"192.0.2.0/24"}, Domains: []string{"xa"}})
	if err != nil {
		b.Fatal(err)
	}
	atlas.warnings = warninglist.NewIndex(nil)
	objects := indicators(b, 1_000)
	b.SetBytes(int64(len(objects[0].Raw)))
	b.ReportAllocs()
	i, in := 0, 0
	began := cpu(b)
	for b.Loop() {
		if ok, _ := atlas.Look(objects[i%len(objects)]).Emanates(area, Terms{MinAgreement: 1}); ok {
			in++
		}
		i++
	}
	b.ReportMetric(float64(cpu(b)-began)/float64(i), "cpu-ns/op")
	if in == 0 && i > 1000 {
		b.Fatal("nothing emanates from anywhere")
	}
}

// cpu is the time that this process has used, in nanoseconds: the clock on the wall
// measures the neighbours, too.
func cpu(t testing.TB) int64 {
	t.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return r.Utime.Nano() + r.Stime.Nano()
}

func BenchmarkMemoryOfTables(b *testing.B) {
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		atlas := bigWorld(b)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB")
		runtime.KeepAlive(atlas)
	}
}
