// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"
)

// listed is an event of a catalogue.
type listed struct {
	uuid      string
	info      string
	date      time.Time
	timestamp uint32
	tags      []NamedTag
	// report is the id of the report whose event it is; "" for the event of a day.
	report string
}

// state is a catalogue at one moment.
type state struct {
	position  int64
	deletions int64
	// readOf is the number of deletions when everything was last read.
	readOf     int64
	events     []listed
	statements statements
	// defined is when the last of the statements came.
	defined int64
	loose   func(id string) bool
	// at are the places of the events by uuid.
	at map[string]int
}

// look brings the catalogue up to date and returns its state.
func (c *Catalogue) look(ctx context.Context) (state, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.begin(ctx); err != nil {
		return state{}, err
	}
	begun := time.Now()
	err := c.update(ctx)
	c.read.worked(time.Since(begun), err == nil)
	if err != nil {
		return state{}, err
	}
	// Many requests are for files of a directory that has not changed: of a large one the list costs more than most files.
	if c.last == nil {
		s := c.state()
		c.last = &s
	}
	return *c.last, nil
}

// state makes the list of the events. Nothing of it is changed later.
func (c *Catalogue) state() state {
	s := state{position: c.position, deletions: c.deletions, readOf: c.read.of, statements: maps.Clone(c.statements)}
	s.defined = s.statements.newest()
	held := c.references.settle()
	s.loose = func(id string) bool {
		h := hashOf(id)
		i, _ := slices.BinarySearchFunc(held, heldBy{object: h}, heldBy.compare)
		return i == len(held) || held[i].object != h
	}
	for day, timestamp := range c.days {
		date := time.Unix(day*daySeconds, 0).UTC()
		s.events = append(s.events, listed{
			uuid: derive("event", c.name, date.Format(time.DateOnly)), info: c.name + " " + date.Format(time.DateOnly), date: date, timestamp: timestamp,
		})
	}
	for _, r := range c.reports {
		if r.gone {
			continue
		}
		info := r.name
		if info == "" {
			info = r.id
		}
		s.events = append(s.events, listed{
			uuid: derive("event", c.name, r.id), info: brief(info), date: r.day, timestamp: r.timestamp, tags: r.tags, report: r.id,
		})
	}
	slices.SortFunc(s.events, func(a, b listed) int {
		return cmp.Or(cmp.Compare(a.timestamp, b.timestamp), cmp.Compare(a.uuid, b.uuid))
	})
	s.at = make(map[string]int, len(s.events))
	for i, e := range s.events {
		s.at[e.uuid] = i
	}
	return s
}
