// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// Bounds of a directory. What goes beyond them is loose: it is in the event of its day.
const (
	maxReports    = 100_000
	maxReferences = 4_000_000
	maxStatements = 10_000
	scanObjects   = 5000
)

// settled is how long ago a second must be over before its objects are shown, so that
// an event never changes without a later timestamp.
const settled = time.Second

// Catalogue is the list of the events that the objects of a collection make: one for
// each report and grouping, with what it refers to, and one for each day with what came
// that day and is in none. It keeps no object, and grows by what is new.
type Catalogue struct {
	store      store.Objects
	collection string
	name       string
	now        func() time.Time

	mu sync.Mutex // guards what follows
	// deletions are those of the collection when it was read. After others it is read anew:
	// what a peer has withdrawn must not be listed, nor its title told.
	deletions  int64
	position   int64
	days       map[int64]uint32 // the day's number to the event's timestamp
	reports    []reportEvent
	byReport   map[string]int
	references holdings
	statements statements
	// marks are looked at for the statements in fresh now, and for those in later after that.
	fresh, later recent
	// remarked is how far marks were looked at for those in fresh.
	remarked int64
	// untagged: statements are gone, and the tags of reports say otherwise: an error came between.
	untagged bool
	// read says how often, and how dearly, everything was read; last is what look told last, nil once
	// something has changed.
	read readings
	last *state
}

// reportEvent is the event of a report or grouping.
type reportEvent struct {
	id        string
	version   time.Time // the newest that was taken
	timestamp uint32
	name      string
	day       time.Time
	tags      []NamedTag
	// gone: it is not stored any more.
	gone bool
}

// NewCatalogue makes the catalogue of a collection of the store. The name is part of the
// uuids of the events: the same name gives the same uuids.
func NewCatalogue(s store.Objects, collection, name string, now func() time.Time) *Catalogue {
	if now == nil {
		now = time.Now
	}
	return &Catalogue{
		store: s, collection: collection, name: name, now: now,
		days: map[int64]uint32{}, byReport: map[string]int{}, statements: statements{},
	}
}

func hashOf(id string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // it cannot fail
	return h.Sum64()
}

const daySeconds = 24 * 60 * 60

func dayOf(t time.Time) int64 { return t.Unix() / daySeconds }

// update reads what is new since the last update.
func (c *Catalogue) update(ctx context.Context) error {
	end := c.now().Add(-settled).Truncate(time.Second)
	for {
		q := store.Query{After: c.position, Limit: scanObjects, NoContent: true}
		page, err := c.store.ListObjects(ctx, c.collection, q)
		if err != nil {
			return fmt.Errorf("reading what is new for MISP: %w", err)
		}
		records := page.Records
		if i := slices.IndexFunc(records, func(r store.Record) bool { return !r.DateAdded.Before(end) }); i >= 0 {
			records, page.Next = records[:i], 0
		}
		if len(records) == 0 {
			break
		}
		if err := c.take(ctx, records); err != nil {
			return fmt.Errorf("reading what is new for MISP: %w", err)
		}
		if page.Next == 0 {
			break
		}
	}
	if err := c.remark(ctx); err != nil {
		return fmt.Errorf("reading for MISP what new marking definitions are about: %w", err)
	}
	return nil
}

// take adds records, which follow those before. The position moves last: an error has
// them read again, and taking twice changes nothing.
func (c *Catalogue) take(ctx context.Context, records []store.Record) error {
	c.last = nil
	last := records[len(records)-1].DateAdded.UnixMicro()
	if err := c.takeContainers(ctx, last); err != nil {
		return err
	}
	first, err := c.firsts(ctx, records)
	if err != nil {
		return err
	}
	for _, r := range records {
		at := uint32(r.DateAdded.Unix())
		c.changed(r.ID, first[r.ID], at)
	}
	c.position = last
	return nil
}

// changed moves the events in which an object is: those of the reports that name it, or that of its day.
func (c *Catalogue) changed(id string, first time.Time, at uint32) {
	held := false
	for _, report := range c.references.holders(id) {
		held = true
		c.reports[report].timestamp = max(c.reports[report].timestamp, at)
	}
	if _, isReport := c.byReport[id]; held || isReport {
		return
	}
	day := dayOf(first)
	c.days[day] = max(c.days[day], at)
}

// firsts finds when the oldest version of each object was added: that is its day.
func (c *Catalogue) firsts(ctx context.Context, records []store.Record) (map[string]time.Time, error) {
	first := map[string]time.Time{}
	page, err := c.store.ListObjects(ctx, c.collection, store.Query{
		After: c.position, Limit: scanObjects, NoContent: true, Versions: store.Versions{First: true},
	})
	if err != nil {
		return nil, err
	}
	for _, r := range page.Records {
		first[r.ID] = r.DateAdded
	}
	return first, c.addFirsts(ctx, first, records)
}

// addFirsts finds those that are not there yet.
func (c *Catalogue) addFirsts(ctx context.Context, first map[string]time.Time, records []store.Record) error {
	var others []string
	for _, r := range records {
		if _, ok := first[r.ID]; !ok {
			first[r.ID] = r.DateAdded // until it is found
			others = append(others, r.ID)
		}
	}
	for part := range slices.Chunk(others, store.MaxSelectors) {
		page, err := c.store.ListObjects(ctx, c.collection, store.Query{
			IDs: part, Limit: store.MaxRecords, NoContent: true, Versions: store.Versions{First: true},
		})
		if err != nil {
			return err
		}
		for _, r := range page.Records {
			first[r.ID] = r.DateAdded
		}
	}
	return nil
}

// takeContainers reads the reports, groupings and marking definitions up to a position.
func (c *Catalogue) takeContainers(ctx context.Context, last int64) error {
	for after := c.position; ; {
		page, err := c.store.ListObjects(ctx, c.collection, store.Query{
			After: after, Limit: 100, Types: []string{"report", "grouping", stix.TypeMarkingDefinition},
		})
		if err != nil {
			return err
		}
		for _, r := range page.Records {
			if r.DateAdded.UnixMicro() > last {
				return nil
			}
			if err := c.takeContainer(ctx, r); err != nil {
				return err
			}
		}
		if after = page.Next; after == 0 || after > last {
			return nil
		}
	}
}

func (c *Catalogue) takeContainer(ctx context.Context, r store.Record) error {
	// What does not parse has no type: it was read when it came in, so this does not happen.
	o, _ := stix.Parse(r.Raw)
	if o.Type == stix.TypeMarkingDefinition {
		if _, known := c.statements[o.ID]; o.Statement && !known && len(c.statements) < maxStatements {
			c.statements[o.ID] = r.DateAdded.Unix()
			c.later.add(o.ID, r.DateAdded)
		}
		return nil
	}
	var m members
	if o.ID == "" || !decodes(o.Raw, &m) {
		return nil
	}
	at, seen := c.byReport[o.ID]
	if !seen {
		if len(c.reports) == maxReports {
			return nil
		}
		at = len(c.reports)
		c.byReport[o.ID] = at
		c.reports = append(c.reports, reportEvent{id: o.ID, day: r.DateAdded})
	}
	e := &c.reports[at]
	if o.Version.Before(e.version) {
		return nil // the newest version says what is in the event
	}
	e.name, e.timestamp = m.Name, max(e.timestamp, uint32(r.DateAdded.Unix()))
	e.tags, _ = tagsOf(o.Markings, c.statements)
	if err := c.regroup(ctx, int32(at), o.Version, m.ObjectRefs); err != nil {
		return err
	}
	e.version = o.Version // last: an error has it taken again
	return nil
}
