// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package territory

import (
	"bytes"
	"context"
	"flag"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/certlink/certlink/relay/territory/delegation"
	"github.com/certlink/certlink/relay/territory/geo"
	"github.com/certlink/certlink/relay/territory/warninglist"
)

var update = flag.Bool("update", false, "write the files in testdata")

// january and june are the dates of the two delegation files.
var (
	january = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	june    = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
)

const delegated = `# made for tests
2|testnic|20260601|9|19830101|%DATE%|+0000
testnic|*|asn|*|3|summary
testnic|*|ipv4|*|5|summary
testnic|*|ipv6|*|2|summary
testnic|XA|asn|64500|1|20100101|allocated|holder-a
testnic|XB|asn|64501|1|20100101|allocated|holder-b
testnic|XC|asn|64502|2|20100101|allocated|holder-c
testnic|XA|ipv4|192.0.2.0|256|20100101|allocated|holder-a
testnic|XB|ipv4|198.51.100.0|256|20100101|assigned|holder-b
testnic|%MOVED%|ipv4|203.0.113.0|256|20100101|allocated|holder-c
testnic|XA|ipv4|198.18.1.0|768|20110101|assigned|holder-a
testnic||ipv4|198.19.0.0|256||available
testnic|XA|ipv6|2001:db8:a::|48|20120101|allocated|holder-a
testnic|XB|ipv6|2001:db8:b::|48|20120101|allocated|holder-b
`

func fixtures(t testing.TB) map[string][]byte {
	t.Helper()
	file := func(date, moved string) []byte {
		return bytes.ReplaceAll(bytes.ReplaceAll([]byte(delegated), []byte("%DATE%"), []byte(date)), []byte("%MOVED%"), []byte(moved))
	}
	return map[string][]byte{
		"delegated-20260101": file("20260101", "XC"),
		"delegated-20260601": file("20260601", "XA"),
		"country.mmdb": database(t, map[string]mmdbtype.Map{
			"192.0.2.0/24":      {"country": mmdbtype.Map{"iso_code": mmdbtype.String("XA")}},
			"198.51.100.0/25":   {"country": mmdbtype.Map{"iso_code": mmdbtype.String("XB")}},
			"198.51.100.128/25": {"country": mmdbtype.Map{"iso_code": mmdbtype.String("XA")}, "registered_country": mmdbtype.Map{"iso_code": mmdbtype.String("XB")}},
			"2001:db8:a::/48":   {"country": mmdbtype.Map{"iso_code": mmdbtype.String("XA")}},
		}),
		"asn.mmdb": database(t, map[string]mmdbtype.Map{
			"192.0.2.0/24":    {"autonomous_system_number": mmdbtype.Uint32(64500), "autonomous_system_organization": mmdbtype.String("Alfa Net")},
			"198.51.100.0/24": {"autonomous_system_number": mmdbtype.Uint32(64501), "autonomous_system_organization": mmdbtype.String("Bravo Net")},
		}),
		"content-network.json": []byte(`{"name":"Networks of a content network","type":"cidr","version":1,"matching_attributes":["ip-src","ip-dst","domain|ip"],"list":["192.0.2.128/25"]}` + "\n"),
		"popular.json":         []byte(`{"name":"Names that everybody visits","type":"hostname","version":1,"matching_attributes":["domain","hostname","url"],"list":["popular.example"]}` + "\n"),
	}
}

func database(t testing.TB, records map[string]mmdbtype.Map) []byte {
	t.Helper()
	w, err := mmdbwriter.New(mmdbwriter.Options{
		DatabaseType: "Test", IncludeReservedNetworks: true, BuildEpoch: january.Unix(), RecordSize: 24,
	})
	if err != nil {
		t.Fatal(err)
	}
	for network, record := range records {
		_, p, err := net.ParseCIDR(network)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Insert(p, record); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if _, err := w.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestFixturesAreWhatTheyAreSaidToBe(t *testing.T) {
	for name, want := range fixtures(t) {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil { //nolint:gosec // as every file of the repository
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what -update writes", path)
		}
	}
}

func registry(t testing.TB, name, file string) *dataset {
	t.Helper()
	d := &dataset{name: name}
	for _, one := range []string{file} {
		set, err := delegation.Parse(bytes.NewReader(fixtures(t)[one]))
		if err != nil {
			t.Fatal(err)
		}
		d.snapshots = append(d.snapshots, &snapshot{cite: name + "@" + set.Date.Format(time.DateOnly), sum: one, date: set.Date, registry: set})
	}
	return d
}

func places(t testing.TB) *dataset {
	t.Helper()
	set, err := geo.ReadCountries(context.Background(), fixtures(t)["country.mmdb"])
	if err != nil {
		t.Fatal(err)
	}
	return &dataset{"places", []*snapshot{{cite: "places@2026-01-01", sum: "places", date: set.Build, countries: set}}}
}

func systems(t testing.TB) *dataset {
	t.Helper()
	set, err := geo.ReadSystems(context.Background(), fixtures(t)["asn.mmdb"])
	if err != nil {
		t.Fatal(err)
	}
	return &dataset{"systems", []*snapshot{{cite: "systems@2026-01-01", sum: "systems", date: set.Build, systems: set}}}
}

// world is an atlas of all fixtures.
func world(t testing.TB) *Atlas {
	t.Helper()
	rir := registry(t, "rir", "delegated-20260101")
	rir.snapshots = append(rir.snapshots, registry(t, "rir", "delegated-20260601").snapshots...)
	var lists []*warninglist.List
	names := []string{"content-network", "popular"}
	for _, name := range names {
		l, err := warninglist.Parse(fixtures(t)[name+".json"])
		if err != nil {
			t.Fatal(err)
		}
		lists = append(lists, l)
	}
	return newAtlas([]*dataset{rir, places(t), systems(t)}, names, names, lists)
}
