// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package territory

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/quick"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/stix"
)

func area(t testing.TB, c config.PeerTerritory) *Area {
	t.Helper()
	a, err := NewArea(c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func indicator(t testing.TB, pattern, from string) stix.Object {
	t.Helper()
	quoted, err := json.Marshal(pattern)
	if err != nil {
		t.Fatal(err)
	}
	o, err := stix.Parse([]byte(`{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-000000000001",` +
		`"created":"2026-07-01T00:00:00Z","modified":"2026-07-01T00:00:00Z","pattern_type":"stix","pattern":` + string(quoted) + `,"valid_from":"` + from + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestEmanates(t *testing.T) {
	alfa := config.PeerTerritory{
		Countries: []string{"XA"}, Networks: []string{"198.51.100.192/26"}, AutonomousSystems: []int64{64501}, Domains: []string{"alfa.example"},
	}
	onlyXA := config.PeerTerritory{Countries: []string{"XA"}}
	const now, before = "2026-07-01T00:00:00Z", "2026-03-01T00:00:00Z"
	for name, c := range map[string]struct {
		area     config.PeerTerritory
		terms    Terms
		from     string
		pattern  string
		want     bool
		wantWhy  string
		lonesome bool // without any data set
	}{
		"an address that all sources place there":            {onlyXA, Terms{MinAgreement: 3}, now, "[ipv4-addr:value = '192.0.2.7']", true, EmanatesFromPeer, false},
		"more sources required than there are":               {onlyXA, Terms{MinAgreement: 4}, now, "[ipv4-addr:value = '192.0.2.7']", false, TerritoryDisputed, false},
		"an address that all sources place elsewhere":        {onlyXA, Terms{}, now, "[ipv4-addr:value = '198.51.100.7']", false, OtherTerritory, false},
		"an address that one source of three places there":   {onlyXA, Terms{MinAgreement: 2}, now, "[ipv4-addr:value = '198.51.100.129']", false, TerritoryDisputed, false},
		"the same where one is enough":                       {onlyXA, Terms{}, now, "[ipv4-addr:value = '198.51.100.129']", true, EmanatesFromPeer, false},
		"one of two addresses is elsewhere":                  {onlyXA, Terms{}, now, "[ipv4-addr:value = '192.0.2.7'] OR [ipv4-addr:value = '198.51.100.7']", false, OtherTerritory, false},
		"one of two addresses is unknown":                    {onlyXA, Terms{}, now, "[ipv4-addr:value IN ('192.0.2.7','11.0.0.1')]", false, UnknownTerritory, false},
		"one of two addresses is private":                    {onlyXA, Terms{}, now, "[ipv4-addr:value IN ('192.0.2.7','10.0.0.1')]", true, EmanatesFromPeer, false},
		"nothing but a private address":                      {onlyXA, Terms{}, now, "[ipv4-addr:value = '10.0.0.1']", false, NoTerritory, false},
		"nothing but a name":                                 {onlyXA, Terms{}, now, "[domain-name:value = 'evil.example']", false, NoTerritory, false},
		"a hash":                                             {onlyXA, Terms{}, now, "[file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e']", false, NoTerritory, false},
		"a URL with an address":                              {onlyXA, Terms{}, now, "[url:value = 'http://user@192.0.2.7:8080/a?b']", true, EmanatesFromPeer, false},
		"an IPv6 address":                                    {onlyXA, Terms{MinAgreement: 2}, now, "[ipv6-addr:value = '2001:DB8:A::1']", true, EmanatesFromPeer, false},
		"the number of an autonomous system":                 {onlyXA, Terms{}, now, "[autonomous-system:number = 64500]", true, EmanatesFromPeer, false},
		"a network inside of one":                            {onlyXA, Terms{}, now, "[ipv4-addr:value ISSUBSET '192.0.2.0/26']", true, EmanatesFromPeer, false},
		"a network in two countries":                         {onlyXA, Terms{}, now, "[ipv4-addr:value = '192.0.0.0/9']", false, OtherTerritory, false},
		"a network as wide as a continent":                   {onlyXA, Terms{}, now, "[ipv4-addr:value ISSUBSET '192.0.0.0/4']", false, TerritoryUndecidable, false},
		"a negation":                                         {onlyXA, Terms{}, now, "[ipv4-addr:value = '192.0.2.7' AND ipv4-addr:value != '198.51.100.7']", false, TerritoryUndecidable, false},
		"a negated list":                                     {onlyXA, Terms{}, now, "[ipv4-addr:value NOT IN ('192.0.2.7')]", false, TerritoryUndecidable, false},
		"a wildcard":                                         {onlyXA, Terms{}, now, "[ipv4-addr:value LIKE '192.0.2.%']", false, TerritoryUndecidable, false},
		"a wildcard over names beside an address":            {onlyXA, Terms{}, now, "[ipv4-addr:value = '192.0.2.7' AND domain-name:value LIKE '%.example']", true, EmanatesFromPeer, false},
		"an address in an unusual writing":                   {onlyXA, Terms{}, now, "[url:value = 'http://3221225991/']", false, TerritoryUndecidable, false},
		"a pattern that breaks off":                          {onlyXA, Terms{}, now, "[ipv4-addr:value = '192.0.2.7", false, TerritoryUndecidable, false},
		"an address on a warning list":                       {onlyXA, Terms{}, now, "[ipv4-addr:value = '192.0.2.200']", false, OnWarningList, false},
		"an address on a warning list that is to be ignored": {onlyXA, Terms{IgnoreWarnings: true}, now, "[ipv4-addr:value = '192.0.2.200']", true, EmanatesFromPeer, false},
		"a popular name beside an address":                   {onlyXA, Terms{}, now, "[ipv4-addr:value = '192.0.2.7' AND domain-name:value = 'www.popular.example']", false, OnWarningList, false},
		"a network of the peer's own list":                   {alfa, Terms{MinAgreement: 8}, now, "[ipv4-addr:value = '198.51.100.200']", true, EmanatesFromPeer, false},
		"an autonomous system of the peer's own list":        {alfa, Terms{MinAgreement: 8}, now, "[ipv4-addr:value = '198.51.100.7']", true, EmanatesFromPeer, false},
		"a domain of the peer's own list":                    {alfa, Terms{MinAgreement: 8}, now, "[domain-name:value = 'c2.Alfa.Example.']", true, EmanatesFromPeer, false},
		"a domain that only ends like one of the peer's":     {alfa, Terms{}, now, "[domain-name:value = 'notalfa.example']", false, NoTerritory, false},
		"a network that moved, seen after":                   {onlyXA, Terms{}, now, "[ipv4-addr:value = '203.0.113.7']", true, EmanatesFromPeer, false},
		"a network that moved, seen before":                  {onlyXA, Terms{}, before, "[ipv4-addr:value = '203.0.113.7']", false, OtherTerritory, false},
		"a network that moved, seen before all data":         {onlyXA, Terms{}, "2020-01-01T00:00:00Z", "[ipv4-addr:value = '203.0.113.7']", false, OtherTerritory, false},
		"no data at all":                                     {onlyXA, Terms{}, now, "[ipv4-addr:value = '11.0.0.7']", false, NoTerritoryData, true},
		"no data, but the peer's own network":                {alfa, Terms{}, now, "[ipv4-addr:value = '198.51.100.200']", true, EmanatesFromPeer, true},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			atlas := world(t)
			if c.lonesome {
				atlas = newAtlas(nil, nil, nil, nil)
			}
			e := atlas.Look(indicator(t, c.pattern, c.from))
			got, why := e.Emanates(area(t, c.area), c.terms)
			if got != c.want || why != c.wantWhy {
				t.Errorf("got %v %s, want %v %s; evidence %+v", got, why, c.want, c.wantWhy, e.Statement())
			}
		})
	}
}

func TestAnAddressInNoDataSetEmanatesFromNobody(t *testing.T) {
	atlas := world(t)
	known := prefixes("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15", "2001:db8:a::/48", "2001:db8:b::/48")
	err := quick.Check(func(four [4]byte, six [16]byte, country uint16, agreement int8) bool {
		peer := area(t, config.PeerTerritory{Countries: []string{string([]byte{'A' + byte(country%26), 'A' + byte(country/26%26)}), "XA", "XB", "XC"}})
		for _, a := range []netip.Addr{netip.AddrFrom4(four), netip.AddrFrom16(six).Unmap()} {
			for _, p := range known {
				if p.Contains(a) {
					return true
				}
			}
			o := indicator(t, fmt.Sprintf("[x:y = 'z' AND ipv4-addr:value = '%s']", a), "2026-07-01T00:00:00Z")
			if ok, _ := atlas.Look(o).Emanates(peer, Terms{MinAgreement: int(agreement)}); ok {
				return false
			}
		}
		return true
	}, nil)
	if err != nil {
		t.Error(err)
	}
}

func TestAStatementFitsAndSaysWhatIsKnown(t *testing.T) {
	atlas := world(t)
	one, err := json.Marshal(atlas.Look(indicator(t, "[ipv4-addr:value = '192.0.2.7']", "2026-03-01T00:00:00Z")))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"rir":{"registry":"testnic","cc":"XA","date":"2010-01-01","status":"allocated","dataset":"rir@2026-01-01"}`,
		`"geo":[{"cc":"XA","dataset":"places@2026-01-01"}]`,
		`"asn":{"n":64500,"cc":"XA","name":"Alfa Net","dataset":"systems@2026-01-01"}`,
		`"flags":["reserved"]`, `"agreement":{"XA":3}`, `"as_of":"2026-01-01T00:00:00Z"`, `"observed":"2026-03-01T00:00:00Z"`,
	} {
		if !strings.Contains(string(one), want) {
			t.Errorf("%s is not in %s", want, one)
		}
	}
	var all []string
	for i := range 60 {
		all = append(all, fmt.Sprintf("'192.0.2.%d'", i))
	}
	e := atlas.Look(indicator(t, "[ipv4-addr:value IN ("+strings.Join(all, ",")+")]", "2026-03-01T00:00:00Z"))
	many, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	s := e.Statement()
	if len(many) > MaxStatement || len(s.Values)+s.Omitted != 60 || s.Omitted == 0 {
		t.Errorf("%d bytes, %d values, %d omitted", len(many), len(s.Values), s.Omitted)
	}
	if ok, why := e.Emanates(area(t, config.PeerTerritory{Countries: []string{"XA"}}), Terms{}); !ok {
		t.Errorf("what is omitted in words counts in decisions: %s", why)
	}
}

func TestTheDigestChangesWithTheData(t *testing.T) {
	sets := []*dataset{registry(t, "rir", "delegated-20260101")}
	seen := map[string]bool{}
	for _, a := range []*Atlas{newAtlas(nil, nil, nil, nil), newAtlas(sets, nil, nil, nil), newAtlas(append(sets, places(t)), nil, nil, nil), world(t)} {
		if seen[a.Digest()] {
			t.Errorf("%s stands for two atlases", a.Digest())
		}
		seen[a.Digest()] = true
	}
	if !seen[world(t).Digest()] {
		t.Error("the same data has another digest")
	}
}
