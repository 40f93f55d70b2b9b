// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package territory

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sort"
	"time"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/territory/clue"
	"github.com/certlink/certlink/relay/territory/delegation"
	"github.com/certlink/certlink/relay/territory/geo"
	"github.com/certlink/certlink/relay/territory/warninglist"
)

// revision is part of the digest. It changes with the code of Look and Emanates, so
// that a release that decides otherwise decides again.
const revision = "certlink-territory/1"

// Atlas is all data sets and warning lists at one moment. It does not change.
// A nil Atlas has none.
type Atlas struct {
	registries, places, systems []*dataset
	lists                       []string // the names, in the order of the index
	warnings                    *warninglist.Index
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
	sum       string // SHA-256 of the file
	date      time.Time
	registry  *delegation.Set
	countries *geo.Countries
	systems   *geo.Systems
}

// newAtlas puts data sets and lists together, in the order of the configuration.
func newAtlas(sets []*dataset, names []string, sums []string, lists []*warninglist.List) *Atlas {
	a := &Atlas{lists: names, warnings: warninglist.NewIndex(lists)}
	h := sha256.New()
	_, _ = fmt.Fprintln(h, revision) // a hash takes everything
	for _, d := range sets {
		for _, s := range d.snapshots {
			_, _ = fmt.Fprintf(h, "dataset %q %s\n", s.cite, s.sum)
			if s.date.After(a.asOf) {
				a.asOf = s.date
			}
		}
		switch newest := d.snapshots[len(d.snapshots)-1]; {
		case newest.registry != nil:
			a.registries = append(a.registries, d)
		case newest.countries != nil:
			a.places = append(a.places, d)
		case newest.systems != nil:
			a.systems = append(a.systems, d)
		}
	}
	for i, name := range names {
		_, _ = fmt.Fprintf(h, "list %q %s\n", name, sums[i])
	}
	a.digest = hex.EncodeToString(h.Sum(nil))
	return a
}

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
func (a *Atlas) Look(o stix.Object) Evidence { return a.evidence(clue.Find(o)) }

// LookAt is Look for one value as a person writes it (clue.Read). A zero time asks
// the newest data.
func (a *Atlas) LookAt(value string, at time.Time) Evidence {
	c := clue.Read(value)
	c.Observed = at
	return a.evidence(c)
}

func (a *Atlas) evidence(c clue.Clues) Evidence {
	e := Evidence{atlas: a, observed: c.Observed, undecidable: c.Undecidable}
	if len(c.List) == 0 {
		return e
	}
	e.findings = make([]finding, len(c.List))
	for i, one := range c.List {
		e.findings[i].Clue = one
		a.fill(&e.findings[i], c.Observed)
	}
	return e
}

// at is the snapshot that answers for a time.
func (d *dataset) at(t time.Time) *snapshot {
	newest := d.snapshots[len(d.snapshots)-1]
	if t.IsZero() || !newest.date.After(t) {
		return newest
	}
	after := sort.Search(len(d.snapshots), func(i int) bool { return d.snapshots[i].date.After(t) })
	return d.snapshots[max(after-1, 0)]
}
