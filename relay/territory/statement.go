// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package territory

import "time"

// MaxStatement is the largest JSON form of a Statement in bytes. Values that do not
// fit are counted in Omitted.
const MaxStatement = 2048

// Statement is evidence as it is recorded and shown. It says where something appears
// to be, by which data sets of which date; it never says who did something.
type Statement struct {
	// Observed is the time for which the data sets were asked; zero means now.
	Observed time.Time `json:"observed,omitzero"`
	// AsOf is the date of the newest data set that there was.
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
	// Flags are "reserved" and "warned:LIST".
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
	return Statement{Observed: e.observed, AsOf: e.atlas.AsOf(), Undecidable: e.undecidable}
}
