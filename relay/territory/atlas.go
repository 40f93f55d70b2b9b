// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package territory

import (
	"time"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/territory/clue"
	"github.com/certlink/certlink/relay/territory/delegation"
	"github.com/certlink/certlink/relay/territory/geo"
	"github.com/certlink/certlink/relay/territory/span"
)

// Atlas is all data sets and warning lists at one moment. It does not change.
// A nil Atlas has none.
type Atlas struct {
	registries, places, systems []*dataset
	lists                       []*list
	digest                      string
	asOf                        time.Time
}

// dataset is a named series of snapshots, the oldest first, at least one.
type dataset struct {
	name      string
	snapshots []*snapshot
}

// snapshot is one data set as of one date. One of its tables is set.
type snapshot struct {
	cite      string // NAME@DATE
	date      time.Time
	registry  *delegation.Set
	countries *geo.Countries
	systems   *geo.Systems
}

// list is a warning list.
type list struct{ name string }

// Digest stands for the data: two atlases with the same digest give the same
// evidence of every object. It is part of the hash of a policy, so that new data
// decides again.
func (a *Atlas) Digest() string {
	if a == nil {
		return ""
	}
	return a.digest
}

// AsOf is the date of the newest data set; zero when there is none.
func (a *Atlas) AsOf() time.Time {
	if a == nil {
		return time.Time{}
	}
	return a.asOf
}

func (a *Atlas) empty() bool {
	return a == nil || len(a.registries)+len(a.places)+len(a.systems) == 0
}

// Look returns what the data sets know of the values that an object names, as of the
// time of its observation: last_observed, else valid_from, else its version. Each
// data set answers with its newest snapshot that is not after that time, else with
// its oldest; with its newest one for an object without a time.
func (a *Atlas) Look(o stix.Object) Evidence {
	return a.lookAll(clue.Find(o))
}

func (a *Atlas) lookAll(c clue.Clues) Evidence {
	e := Evidence{atlas: a, observed: c.Observed, undecidable: c.Undecidable}
	for _, one := range c.List {
		e.findings = append(e.findings, finding{Clue: one})
	}
	return e
}

// opinions are the countries that the sources name, one for each independent source:
// the registries' delegation of the value, each geolocation, and the registration of
// the autonomous system.
func (f *finding) opinions(to *[maxPlaces + 2]span.Country) []span.Country {
	out := to[:0]
	if f.recorder != nil && f.Kind != clue.Number {
		out = append(out, f.record.Country)
	}
	for i := range f.placed {
		out = append(out, f.places[i].Country)
	}
	return append(out, f.home)
}
