// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package delegation_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/territory/delegation"
)

const header = "2|testnic|20260601|5|19830101|20260601|+0000\n"

func parse(t *testing.T, text string) *delegation.Set {
	t.Helper()
	s, err := delegation.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParseReadsEveryKindOfRecord(t *testing.T) {
	s := parse(t, "# a comment\n"+header+
		"testnic|*|ipv4|*|2|summary\n"+
		"testnic|XA|ipv4|192.0.2.0|256|20100203|allocated\n"+
		"testnic|xb|ipv4|198.51.100.0|768|00000000|assigned|opaque|e-stats\r\n"+
		"\n"+
		"testnic|XC|ipv6|2001:db8::|32|20110101|allocated\n"+
		"testnic|EU|ipv6|2001:db8:1::|48||assigned\n"+
		"testnic|XA|asn|64496|3|20120101|allocated\n"+
		"testnic||ipv4|203.0.113.0|256||available\n"+
		"testnic|ZZ|asn|4294967295|1||reserved\n"+
		"testnic|XA|space|1|1|20120101|allocated\n")
	if s.Records != 7 || !s.Date.Equal(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%d records of %v", s.Records, s.Date)
	}
	for address, want := range map[string]string{
		"192.0.2.255":      "XA allocated 2010-02-03 true",
		"198.51.102.255":   "XB assigned  true",
		"198.51.103.0":     "   false",
		"198.51.99.255":    "   false",
		"2001:db8:ffff::1": "XC allocated 2011-01-01 true",
		"2001:db8:1::1":    "EU assigned  true",
		"203.0.113.1":      " available  true",
	} {
		r, ok := s.Address(netip.MustParseAddr(address))
		status := ""
		if ok {
			status = s.Status(r)
		}
		if got := fmt.Sprintf("%s %s %s %v", r.Country, status, s.DateOf(r), ok); got != want {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
	}
	for number, want := range map[uint32]string{64496: "XA", 64498: "XA", 64499: "", 4294967295: "ZZ"} {
		if r, _ := s.Number(number); r.Country.String() != want {
			t.Errorf("AS%d: got %q, want %q", number, r.Country, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"nothing":                     {"", delegation.ErrFormat},
		"no version line":             {"testnic|XA|ipv4|192.0.2.0|256|20100203|allocated\n", delegation.ErrFormat},
		"a page of the web":           {"<html>\n", delegation.ErrFormat},
		"a version line alone":        {header, delegation.ErrFormat},
		"no date":                     {"2|testnic|x|5|y|z|+0000\n", delegation.ErrFormat},
		"fewer records than promised": {header + "testnic|*|ipv4|*|2|summary\ntestnic|XA|ipv4|192.0.2.0|256|20100203|allocated\n", delegation.ErrIncomplete},
		"a record that is cut":        {header + "testnic|XA|ipv4|192.0.2.0|25", delegation.ErrFormat},
		"no address":                  {header + "testnic|XA|ipv4|192.0.2.256|256|20100203|allocated\n", delegation.ErrFormat},
		"beyond the last address":     {header + "testnic|XA|ipv4|255.255.255.0|257|20100203|allocated\n", delegation.ErrFormat},
		"no addresses":                {header + "testnic|XA|ipv4|192.0.2.0|0|20100203|allocated\n", delegation.ErrFormat},
		"a prefix too long":           {header + "testnic|XA|ipv6|2001:db8::|129|20100203|allocated\n", delegation.ErrFormat},
		"a zone":                      {header + "testnic|XA|ipv6|fe80::1%eth0|64|20100203|allocated\n", delegation.ErrFormat},
		"IPv6 as IPv4":                {header + "testnic|XA|ipv4|2001:db8::|256|20100203|allocated\n", delegation.ErrFormat},
		"beyond the last AS":          {header + "testnic|XA|asn|4294967295|2|20100203|allocated\n", delegation.ErrFormat},
		"no country":                  {header + "testnic|XAA|ipv4|192.0.2.0|256|20100203|allocated\n", delegation.ErrFormat},
		"a line without end":          {header + strings.Repeat("x", 1<<20), delegation.ErrFormat},
		"too many statuses":           {header + statuses(100), delegation.ErrTooLarge},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			if _, err := delegation.Parse(strings.NewReader(c.text)); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func statuses(n int) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, "testnic|XA|asn|%d|1|20100203|status%d\n", i+1, i)
	}
	return out.String()
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"delegated-20260101", "delegated-20260601"} {
		raw, err := os.ReadFile("../testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(header + "testnic|XA|ipv4|0.0.0.0|4294967296|20100203|allocated\ntestnic|XB|ipv4|10.0.0.0|1|20100203|allocated\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := delegation.Parse(bytes.NewReader(raw))
		if err != nil {
			return
		}
		// Neighbours that overlap make at most two ranges of one.
		if s.Len() > 2*s.Records+1 {
			t.Errorf("%d ranges of %d records", s.Len(), s.Records)
		}
	})
}
