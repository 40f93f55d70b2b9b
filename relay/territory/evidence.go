// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package territory

import (
	"encoding/json"
	"time"

	"github.com/certlink/certlink/relay/territory/clue"
	"github.com/certlink/certlink/relay/territory/delegation"
	"github.com/certlink/certlink/relay/territory/geo"
	"github.com/certlink/certlink/relay/territory/span"
)

// maxPlaces is the number of geolocation data sets that are asked about one value.
const maxPlaces = 8

// Evidence is what the data sets know of the values that one object names. It does
// not change, and it holds on to its Atlas: keep Statement instead.
type Evidence struct {
	atlas *Atlas
	// observed is zero when the object does not tell; then the newest data counts.
	observed time.Time
	findings []finding
	// undecidable: the object names addresses in a way that is not decided upon.
	undecidable bool
}

// finding is what is known of one value.
type finding struct {
	clue.Clue
	// reserved: a special-purpose address, which belongs to nobody.
	reserved bool
	// wide: a network too wide to be looked up.
	wide bool
	// warned is the warning list that it stands on; "" for none.
	warned string
	// record is what the registries say; recorder is their snapshot, nil for nothing.
	record   delegation.Record
	recorder *snapshot
	// places are what geolocation says.
	places [maxPlaces]located
	placed int
	// system is the autonomous system that announces the value, or is it, and home
	// where that is registered; announcer tells of it, nil for nothing.
	system    uint32
	home      span.Country
	announcer *snapshot
}

// located is what one geolocation data set says.
type located struct {
	geo.Place
	by *snapshot
}

// Statement is the evidence in words, for records and for people.
func (e Evidence) Statement() Statement { return e.statement() }

// MarshalJSON writes the Statement.
func (e Evidence) MarshalJSON() ([]byte, error) { return json.Marshal(e.statement()) }
