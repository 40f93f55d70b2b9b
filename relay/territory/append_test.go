// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package territory

import (
	"encoding/json"
	"testing"
	"time"
)

func TestAStatementIsAppendedAsEncodingJSONWritesIt(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	full := Value{
		Value: "192.0.2.1", Kind: "address",
		RIR:       &Registration{Registry: "testnic", CC: "XA", Date: "2010-01-01", Status: "allocated", Dataset: "registry@2026-01-01"},
		Geo:       []Location{{CC: "XB", Registered: "XC", Dataset: "geo@2026-01-01"}, {Dataset: "other@2026-01-01"}},
		ASN:       &System{Number: 64496, CC: "XA", Name: `A "name" <of> \ & é` + "\u2028\x01\xff", Dataset: "systems@2026-01-01"},
		Flags:     []string{"reserved", "warned:a list"},
		Agreement: map[string]int{"XB": 1, "XA": 2},
	}
	for name, s := range map[string]Statement{
		"empty":             {},
		"all members":       {Observed: at, AsOf: at.Truncate(24 * time.Hour), Values: []Value{full, full}, Omitted: 3, Undecidable: true},
		"sparse value":      {Values: []Value{{Value: "a.example", Kind: "domain"}}},
		"sparse records":    {Values: []Value{{RIR: &Registration{}, ASN: &System{}, Geo: []Location{{}}}}},
		"time with a zone":  {Observed: time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 5400))},
		"only undecidable":  {Undecidable: true},
		"omitted and as of": {AsOf: at, Omitted: 1},
	} {
		t.Run(name, func(t *testing.T) {
			want, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.AppendJSON([]byte("before"))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != "before"+string(want) {
				t.Errorf("got %s\nwant %s", got[len("before"):], want)
			}
		})
	}
}

func TestATimeWithoutAJSONFormIsAnErrorOfAppending(t *testing.T) {
	s := Statement{Observed: time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)}
	if _, err := json.Marshal(s); err == nil {
		t.Fatal("encoding/json writes it")
	}
	if _, err := s.AppendJSON(nil); err == nil {
		t.Error("it was appended")
	}
}
