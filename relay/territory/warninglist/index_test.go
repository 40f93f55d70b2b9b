// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package warninglist_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/territory/warninglist"
)

func parse(t *testing.T, text string) *warninglist.List {
	t.Helper()
	l, err := warninglist.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestTheIndexSaysWhichListAValueStandsOn(t *testing.T) {
	x := warninglist.NewIndex([]*warninglist.List{
		parse(t, `{"name":"content","type":"cidr","matching_attributes":["ip-src","ip-dst","domain|ip"],"list":["192.0.2.0/25","2001:db8::/32","198.51.100.7","no address"]}`),
		parse(t, `{"name":"popular","type":"hostname","matching_attributes":["domain","hostname","url"],"list":["Popular.example","www.other.example."]}`),
		parse(t, `{"name":"resolvers","type":"string","list":["203.0.113.53","exact.example","AS64500"]}`),
		parse(t, `{"name":"parts","type":"substring","matching_attributes":["domain"],"list":["-scanner."]}`),
		parse(t, `{"name":"expressions","type":"regex","matching_attributes":["hostname"],"list":["/^crawl-[0-9]+\\.BOT\\.example$/i","(?=lookahead)"]}`),
		parse(t, `{"name":"hashes","type":"string","matching_attributes":["md5"],"list":["192.0.2.200","hash.example"]}`),
	})
	none := -1
	for value, want := range map[string]int{
		"192.0.2.1": 0, "192.0.2.128": none, "2001:db8::1": 0, "198.51.100.7": 0, "198.51.100.8": none, "203.0.113.53": 2, "192.0.2.200": none,
		"192.0.2.0/26": 0, "192.0.2.0/24": none, "2001:db8:1::/48": 0,
		"popular.example": 1, "a.b.popular.example": 1, "notpopular.example": none, "other.example": none, "www.other.example": 1,
		"exact.example": 2, "below.exact.example": none, "a-scanner.example": 3, "crawl-12.bot.example": 4, "crawl-x.bot.example": none, "hash.example": none, "example": none,
		"AS64500": 2, "AS64501": none,
	} {
		var got int
		var ok bool
		switch {
		case strings.HasPrefix(value, "AS"):
			var n uint32
			if _, err := fmt.Sscanf(value, "AS%d", &n); err != nil {
				t.Fatal(err)
			}
			got, ok = x.Number(n)
		case strings.Contains(value, "/"):
			got, ok = x.Network(netip.MustParsePrefix(value))
		default:
			if a, err := netip.ParseAddr(value); err == nil {
				got, ok = x.Address(a)
			} else {
				got, ok = x.Name(value)
			}
		}
		if ok != (want != none) || ok && got != want {
			t.Errorf("%s: got %d %v, want %d", value, got, ok, want)
		}
	}
}

func TestParseCountsWhatItSkips(t *testing.T) {
	l := parse(t, `{"name":"n","type":"regex","list":["ok","(","`+strings.Repeat("x", 2000)+`"," "]}`)
	if l.Entries != 1 || l.Skipped != 3 || l.Title != "n" {
		t.Errorf("got %+v", l)
	}
}

func TestParseRefuses(t *testing.T) {
	many := `"a"` + strings.Repeat(`,"a"`, warninglist.MaxSlow)
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"no JSON":                {"list", warninglist.ErrFormat},
		"no entry":               {`{"type":"cidr","list":[]}`, warninglist.ErrFormat},
		"no known type":          {`{"type":"other","list":["a"]}`, warninglist.ErrFormat},
		"no entry of its type":   {`{"type":"cidr","list":["a"]}`, warninglist.ErrFormat},
		"too many to try":        {`{"type":"substring","list":[` + many + `]}`, warninglist.ErrTooLarge},
		"a list that is no list": {`{"type":"cidr","list":"192.0.2.0/24"}`, warninglist.ErrFormat},
	} {
		if _, err := warninglist.Parse([]byte(c.text)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"name":"content","type":"cidr","matching_attributes":["ip-src"],"list":["192.0.2.0/25"]}`), "192.0.2.1")
	f.Add([]byte(`{"type":"regex","list":["/(a|b)*/i"]}`), "aaaa")
	f.Add([]byte(`{"type":"hostname","list":["a.example"]}`), "x.a.example")
	f.Fuzz(func(t *testing.T, raw []byte, name string) {
		l, err := warninglist.Parse(raw)
		if err != nil {
			return
		}
		x := warninglist.NewIndex([]*warninglist.List{l})
		if at, ok := x.Name(name); ok && at != 0 {
			t.Errorf("list %d of one", at)
		}
		if a, err := netip.ParseAddr(name); err == nil {
			x.Address(a)
		}
	})
}

func BenchmarkNameAmongAMillion(b *testing.B) {
	var text strings.Builder
	text.WriteString(`{"name":"popular","type":"hostname","list":["first.example"`)
	for i := range 1_000_000 {
		fmt.Fprintf(&text, `,"host%d.example"`, i)
	}
	text.WriteString("]}")
	l, err := warninglist.Parse([]byte(text.String()))
	if err != nil {
		b.Fatal(err)
	}
	x := warninglist.NewIndex([]*warninglist.List{l})
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := x.Name("www.deep.host77.example"); !ok {
			b.Fatal("not found")
		}
	}
}
