// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package span

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// narrowest is what a table is to answer: the value of the narrowest range that holds
// a number, of two that are alike the later one.
func narrowest(ranges [][3]uint32, n uint32) (value uint32, ok bool) {
	width := uint64(1) << 33
	for _, r := range ranges {
		if w := uint64(r[1]) - uint64(r[0]); r[0] <= n && n <= r[1] && w <= width {
			value, width, ok = r[2], w, true
		}
	}
	return value, ok
}

func TestATableAnswersAsItsNestedRangesSay(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 9)) //nolint:gosec // the same numbers each time
	for range 200 {
		var ranges [][3]uint32
		var b Builder[uint32]
		for i := range 30 {
			// Powers of two nest or are apart, as prefixes do; both ends of the space occur.
			bits := rnd.IntN(33)
			p := netip.PrefixFrom(addrOf(rnd.Uint32()), bits).Masked()
			if rnd.IntN(4) == 0 {
				p = netip.PrefixFrom(addrOf(^uint32(0)), bits).Masked()
			}
			lo := uint32(wordOf(p.Addr()))
			hi := lo | uint32(uint64(1)<<(32-bits)-1)
			ranges = append(ranges, [3]uint32{lo, hi, uint32(i % 5)})
			b.Prefix(p, uint32(i%5))
			if !b.Numbers(lo, uint64(hi)-uint64(lo)+1, uint32(i%5)) {
				t.Fatal("a range within bounds is refused")
			}
		}
		table := b.Table()
		probes := []uint32{0, ^uint32(0)}
		for _, r := range ranges {
			probes = append(probes, r[0], r[1], r[0]-1, r[1]+1, rnd.Uint32())
		}
		for _, n := range probes {
			want, wantOK := narrowest(ranges, n)
			if got, ok := table.Address(addrOf(n)); got != want || ok != wantOK {
				t.Fatalf("%v of %v: got %d %v, want %d %v", addrOf(n), ranges, got, ok, want, wantOK)
			}
			if got, ok := table.Number(n); got != want || ok != wantOK {
				t.Fatalf("%d of %v: got %d %v, want %d %v", n, ranges, got, ok, want, wantOK)
			}
		}
	}
}

func addrOf(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}

func TestALongSeriesAnswersAsAShortOne(t *testing.T) {
	var b Builder[uint32]
	for i := range uint32(100_000) {
		b.Numbers(i*40_000, 20_000, i)
	}
	table := b.Table()
	for i := range uint32(100_000) {
		for offset, want := range map[uint32]bool{0: true, 19_999: true, 20_000: false, 39_999: false} {
			if got, ok := table.Number(i*40_000 + offset); ok != want || ok && got != i {
				t.Fatalf("%d: got %d %v", i*40_000+offset, got, ok)
			}
		}
	}
	if _, ok := table.Number(^uint32(0)); ok {
		t.Error("the last number is in no range")
	}
}

func TestNeighboursOfOneValueAreOneRange(t *testing.T) {
	var b Builder[int]
	for _, p := range []string{"192.0.2.0/25", "192.0.2.128/25", "192.0.3.0/24", "198.51.100.0/24", "255.255.255.0/24", "2001:db8::/33", "2001:db8:8000::/33", "2001:db9::/32"} {
		v := 1
		if p == "2001:db9::/32" {
			v = 2
		}
		b.Next(netip.MustParsePrefix(p), v)
	}
	if b.Len() != 5 {
		t.Errorf("%d ranges, want 5", b.Len())
	}
	table := b.Table()
	for address, want := range map[string]int{"192.0.2.0": 1, "192.0.3.255": 1, "192.0.4.0": 0, "255.255.255.255": 1, "2001:db8:ffff::": 1, "2001:db9::": 2} {
		if got, _ := table.Address(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: got %d, want %d", address, got, want)
		}
	}
}

func TestIPv6(t *testing.T) {
	var b Builder[string]
	for prefix, v := range map[string]string{
		"2001:db8::/32": "wide", "2001:db8:1::/48": "narrow", "2001:db8:1::1/128": "one", "ffff:ffff:ffff:ffff::/64": "last", "::/128": "first",
	} {
		b.Prefix(netip.MustParsePrefix(prefix), v)
	}
	table := b.Table()
	for address, want := range map[string]string{
		"2001:db8::": "wide", "2001:db8:0:ffff:ffff:ffff:ffff:ffff": "wide", "2001:db8:1::": "narrow", "2001:db8:1::1": "one", "2001:db8:1::2": "narrow",
		"2001:db8:2::": "wide", "2001:db9::": "", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff": "", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": "last", "::": "first", "::1": "",
	} {
		if got, _ := table.Address(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
	}
}

func TestANetworkIsOneIfAllOfItIs(t *testing.T) {
	var b Builder[int]
	for prefix, v := range map[string]int{"192.0.2.0/25": 1, "192.0.2.128/25": 1, "198.51.100.0/25": 1, "198.51.100.128/25": 2, "203.0.113.0/25": 1, "2001:db8::/33": 1, "2001:db8:8000::/33": 1} {
		b.Prefix(netip.MustParsePrefix(prefix), v)
	}
	table := b.Table()
	for prefix, want := range map[string][2]bool{ // known, whole
		"192.0.2.0/24": {true, true}, "192.0.2.64/26": {true, true}, "198.51.100.0/24": {true, false}, "198.51.100.0/26": {true, true},
		"203.0.113.0/24": {true, false}, "203.0.112.0/23": {true, false}, "10.0.0.0/8": {false, false}, "2001:db8::/32": {true, true}, "2001:db8::/31": {true, false},
		"0.0.0.0/0": {true, false},
	} {
		_, known, whole := table.Network(netip.MustParsePrefix(prefix), func(a, b int) bool { return a == b })
		if got := [2]bool{known, whole}; got != want {
			t.Errorf("%s: got %v, want %v", prefix, got, want)
		}
	}
}

func TestCountriesAndNumbersAreReadAsWritten(t *testing.T) {
	for text, want := range map[string]bool{"XA": true, "xa": false, "X": false, "XAA": false, "": false, "X1": false} {
		if c, ok := ParseCountry(text); ok != want || ok && c.String() != text {
			t.Errorf("%q: got %v %v", text, c, ok)
		}
	}
	for text, want := range map[string]bool{"XA": true, "EU": false, "AP": false, "ZZ": false} {
		if c, _ := ParseCountry(text); c.Names() != want {
			t.Errorf("%q names a country: %v", text, !want)
		}
	}
	for text, want := range map[string]uint32{"AS64500": 64500, "as1": 1, "64500": 64500, "0": 0, "AS": 0, "4294967296": 0, "-1": 0, "AS1.5": 0} {
		if n, ok := ParseNumber(text); ok != (want != 0) || ok && n != want {
			t.Errorf("%q: got %d %v", text, n, ok)
		}
	}
}
