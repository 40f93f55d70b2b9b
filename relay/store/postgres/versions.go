// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"slices"

	"github.com/certlink/certlink/relay/store"
)

// specs are the spec versions that a record may have, or none; allSpecs are these as SQL. The index has versions by them.
var specs = []string{"", "2.0", "2.1"}

const allSpecs = "('', '2.0', '2.1')"

// siblings says how a statement over objects o finds, as n, the records of the
// same object that the same reader sees. An object may have very many: what is asked of them is one place in
// the index, which has them by spec version and version.
type siblings struct {
	// from is what stands behind FROM, with a WHERE; args are its arguments.
	from string
	args []any
	// position and theirs are the columns with the positions of o and of n.
	position, theirs string
}

// narrow adds what a query says about versions and spec versions.
func (s siblings) narrow(c *clause, q store.Query) {
	switch {
	case len(q.Specs) > 0:
		c.add(" AND o.spec = ANY (?)", q.Specs)
	case q.NewestSpec:
		c.add(" AND ")
		s.none(c, " AND n.spec > o.spec")
	}
	if q.Versions.All() {
		return
	}
	c.add(" AND (false")
	if q.Versions.First {
		c.add(" OR ")
		s.end(c, q, "<")
	}
	if q.Versions.Last {
		c.add(" OR ")
		s.end(c, q, ">")
	}
	if at := q.Versions.At; len(at) > 0 {
		times := make([]int64, len(at))
		for i, t := range at {
			times[i] = t.UnixMicro()
		}
		c.add(" OR o.version = ANY (?) OR o.version = ? AND "+s.position+" = ANY (?)", times, int64(noVersion), times)
	}
	c.add(")")
}

// end adds that no sibling lies beyond the record: none of a version before or
// behind it, as beyond says, and none of the same version that was added earlier. Each spec version is asked for by
// itself: for a list of them the planner goes through all versions of the object.
func (s siblings) end(c *clause, q store.Query, beyond string) {
	place := " AND n.version " + beyond + "= o.version AND (n.version " + beyond + " o.version OR " + s.theirs + " < " + s.position + ")"
	if len(q.Specs) == 0 && q.NewestSpec {
		s.none(c, " AND n.spec = o.spec"+place)
		return
	}
	c.add("(true")
	for _, spec := range specs {
		if len(q.Specs) == 0 || slices.Contains(q.Specs, spec) {
			c.add(" AND ")
			s.none(c, " AND n.spec = '"+spec+"'"+place)
		}
	}
	c.add(")")
}

func (s siblings) none(c *clause, condition string) {
	c.add("NOT EXISTS (SELECT 1 FROM "+s.from, s.args...)
	c.add(condition + ")")
}
