// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package geo_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/certlink/certlink/relay/territory/geo"
)

// database writes a file with one record for each network.
func database(t testing.TB, size int, records map[string]mmdbtype.Map) []byte {
	t.Helper()
	w, err := mmdbwriter.New(mmdbwriter.Options{
		DatabaseType: "Test", IncludeReservedNetworks: true, BuildEpoch: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC).Unix(), RecordSize: size,
	})
	if err != nil {
		t.Fatal(err)
	}
	for network, record := range records {
		_, n, err := net.ParseCIDR(network)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Insert(n, record); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if _, err := w.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func code(text string) mmdbtype.Map { return mmdbtype.Map{"iso_code": mmdbtype.String(text)} }

func TestCountriesOfEveryPublisher(t *testing.T) {
	for _, size := range []int{24, 28, 32} {
		c, err := geo.ReadCountries(t.Context(), database(t, size, map[string]mmdbtype.Map{
			"192.0.2.0/24":    {"country": code("XA"), "registered_country": code("XB"), "city": mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String("A town")}}},
			"198.51.100.0/24": {"country_code": mmdbtype.String("xb")},
			"203.0.113.0/24":  {"country": mmdbtype.String("XC")},
			"198.18.0.0/24":   {"registered_country": code("XD")},
			"198.18.1.0/24":   {"country": code("nonsense")},
			"198.18.2.0/24":   {"country": mmdbtype.Slice{mmdbtype.String("XA")}},
			"2001:db8::/32":   {"country": code("XE")},
		}))
		if err != nil {
			t.Fatal(err)
		}
		if want := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC); !c.Build.Equal(want) {
			t.Errorf("built %v, want %v", c.Build, want)
		}
		for address, want := range map[string]string{
			"192.0.2.255": "XA XB", "198.51.100.1": "XB ", "203.0.113.1": "XC ", "198.18.0.1": " XD", "198.18.1.1": " ", "198.18.2.1": " ", "10.0.0.1": " ",
			"2001:db8::1": "XE ", "2001:db9::1": " ",
		} {
			p, _ := c.Address(netip.MustParseAddr(address))
			if got := p.Country.String() + " " + p.Registered.String(); got != want {
				t.Errorf("%d bits, %s: got %q, want %q", size, address, got, want)
			}
		}
	}
}

func TestSystemsOfEveryPublisher(t *testing.T) {
	s, err := geo.ReadSystems(t.Context(), database(t, 28, map[string]mmdbtype.Map{
		"192.0.2.0/25":    {"autonomous_system_number": mmdbtype.Uint32(64500), "autonomous_system_organization": mmdbtype.String("Alfa\x1b[31m Net")},
		"192.0.2.128/25":  {"autonomous_system_number": mmdbtype.Uint32(64501)},
		"198.51.100.0/24": {"asn": mmdbtype.String("AS64502"), "as_name": mmdbtype.String("Charlie")},
		"203.0.113.0/24":  {"asn": mmdbtype.Uint32(64503)},
		"198.18.0.0/24":   {"asn": mmdbtype.String("none")},
	}))
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]uint32{"192.0.2.1": 64500, "192.0.2.129": 64501, "198.51.100.1": 64502, "203.0.113.1": 64503, "198.18.0.1": 0} {
		if n, _ := s.Address(netip.MustParseAddr(address)); n != want {
			t.Errorf("%s: got %d, want %d", address, n, want)
		}
	}
	if s.Names[64500] != "Alfa[31m Net" || s.Names[64502] != "Charlie" {
		t.Errorf("names %v", s.Names)
	}
	for network, want := range map[string]bool{"192.0.2.0/25": true, "192.0.2.0/24": false, "192.0.2.64/26": true} {
		if _, whole := s.Whole(netip.MustParsePrefix(network)); whole != want {
			t.Errorf("%s is announced by one system: %v", network, whole)
		}
	}
}

func TestADatabaseOfSomethingElseIsRefused(t *testing.T) {
	file := database(t, 24, map[string]mmdbtype.Map{"192.0.2.0/24": {"connection_type": mmdbtype.String("Cable")}})
	if _, err := geo.ReadCountries(t.Context(), file); !errors.Is(err, geo.ErrNothing) {
		t.Errorf("got %v", err)
	}
	if _, err := geo.ReadSystems(t.Context(), file); !errors.Is(err, geo.ErrNothing) {
		t.Errorf("got %v", err)
	}
}

// TestATreeThatLeadsRoundIsRefused builds search trees by hand in front of the
// metadata of a good file.
func TestATreeThatLeadsRoundIsRefused(t *testing.T) {
	file := database(t, 32, map[string]mmdbtype.Map{"2001:db8::/127": {"country": code("XA")}})
	nodes := func(point func(i uint32) (left, right uint32)) []byte {
		bad := bytes.Clone(file)
		for i := range uint32(100) {
			left, right := point(i)
			binary.BigEndian.PutUint32(bad[i*8:], left)
			binary.BigEndian.PutUint32(bad[i*8+4:], right)
		}
		return bad
	}
	for name, bad := range map[string][]byte{
		"every node leads to itself":         nodes(func(i uint32) (uint32, uint32) { return i, i }),
		"two nodes lead to each other":       nodes(func(i uint32) (uint32, uint32) { return i ^ 1, i ^ 1 }),
		"every node leads to the next twice": nodes(func(i uint32) (uint32, uint32) { return i + 1, i + 1 }),
	} {
		began := time.Now()
		if _, err := geo.ReadCountries(t.Context(), bad); err == nil {
			t.Errorf("%s: it is accepted", name)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s: it took %v to refuse it", name, took)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{"country.mmdb", "asn.mmdb"} {
		raw, err := os.ReadFile("../testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if c, err := geo.ReadCountries(ctx, raw); err == nil && c.Len() == 0 {
			t.Error("a database without a network")
		}
		if s, err := geo.ReadSystems(ctx, raw); err == nil && s.Len() == 0 {
			t.Error("a database without a network")
		}
	})
}
