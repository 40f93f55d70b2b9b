// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package territory

import (
	"time"

	"github.com/certlink/certlink/relay/territory/span"
)

// MaxStatement is the largest JSON form of a Statement in bytes. Values that do not
// fit are counted in Omitted.
const MaxStatement = 2048

// Statement is evidence as it is recorded and shown. It says where something appears
// to be, by which data sets of which date; it never says who did something.
type Statement struct {
	// Observed is the time for which the data sets were asked; zero means now.
	Observed time.Time `json:"observed,omitzero"`
	// AsOf is the date of the newest data set that says something here; zero if none does.
	AsOf time.Time `json:"as_of,omitzero"`
	// Values that the object names.
	Values []Value `json:"values,omitempty"`
	// Omitted values, for want of room. They count in decisions all the same.
	Omitted int `json:"omitted,omitempty"`
	// Undecidable: the object names addresses in a way that is not decided upon.
	Undecidable bool `json:"undecidable,omitempty"`
}

// Value is what is known of one value.
type Value struct {
	// Value as text, and Kind: address, network, asn or domain.
	Value string `json:"value"`
	Kind  string `json:"kind"`
	// RIR is what the registries say.
	RIR *Registration `json:"rir,omitempty"`
	// Geo is what geolocation says, one for each data set.
	Geo []Location `json:"geo,omitempty"`
	// ASN is the autonomous system.
	ASN *System `json:"asn,omitempty"`
	// Flags are "reserved", "wide" (a network too wide to be looked up) and "warned:LIST".
	Flags []string `json:"flags,omitempty"`
	// Agreement is the number of sources that name each country.
	Agreement map[string]int `json:"agreement,omitempty"`
}

// Registration is a registry's record. CC "**" stands for a network in more than one
// country.
type Registration struct {
	Registry string `json:"registry"`
	CC       string `json:"cc,omitempty"`
	Date     string `json:"date,omitempty"`
	Status   string `json:"status"`
	// Dataset is NAME@DATE of the data set.
	Dataset string `json:"dataset"`
}

// Location is what one geolocation data set says.
type Location struct {
	CC         string `json:"cc,omitempty"`
	Registered string `json:"registered,omitempty"`
	Dataset    string `json:"dataset"`
}

// System is an autonomous system.
type System struct {
	Number uint32 `json:"n"`
	// CC is where it is registered.
	CC   string `json:"cc,omitempty"`
	Name string `json:"name,omitempty"`
	// Dataset that says that it announces the value; empty when it is the value.
	Dataset string `json:"dataset,omitempty"`
}

func (e Evidence) statement() Statement {
	out := Statement{Observed: e.observed, Undecidable: e.undecidable}
	// Braces, times and counts take less than room does.
	const room = 160
	size := room
	var text object
	for i := range e.findings {
		v := e.findings[i].value()
		out.AsOf = e.findings[i].newest(out.AsOf)
		text.text = text.text[:0]
		v.appendTo(&text)
		if text.err != nil || size+len(text.text)+1 > MaxStatement {
			out.Omitted++
			text.err = nil
			continue
		}
		size += len(text.text) + 1
		out.Values = append(out.Values, v)
	}
	return out
}

// value writes a finding in words.
func (f *finding) value() Value {
	v := Value{Value: f.Text(), Kind: f.Kind.String()}
	if f.recorder != nil {
		set := f.recorder.registry
		v.RIR = &Registration{
			Registry: set.Registry(f.record), CC: f.record.Country.String(), Date: set.DateOf(f.record), Status: set.Status(f.record),
			Dataset: f.recorder.cite,
		}
	}
	for _, p := range f.places[:f.placed] {
		v.Geo = append(v.Geo, Location{CC: p.Country.String(), Registered: p.Registered.String(), Dataset: p.by.cite})
	}
	if f.system != 0 {
		v.ASN = &System{Number: f.system, CC: f.home.String()}
		if f.announcer != nil {
			v.ASN.Dataset, v.ASN.Name = f.announcer.cite, f.announcer.systems.Names[f.system]
		}
	}
	if f.reserved {
		v.Flags = append(v.Flags, "reserved")
	}
	if f.wide {
		v.Flags = append(v.Flags, "wide")
	}
	if f.warned != "" {
		v.Flags = append(v.Flags, "warned:"+f.warned)
	}
	var room [maxPlaces + 2]span.Country
	for _, c := range f.opinions(&room) {
		if c.Names() {
			if v.Agreement == nil {
				v.Agreement = map[string]int{}
			}
			v.Agreement[c.String()]++
		}
	}
	return v
}

// newest is the later of a time and the dates of the data sets that say something of
// the value.
func (f *finding) newest(t time.Time) time.Time {
	later := func(s *snapshot) {
		if s != nil && s.date.After(t) {
			t = s.date
		}
	}
	later(f.recorder)
	later(f.announcer)
	for i := range f.placed {
		later(f.places[i].by)
	}
	return t
}
