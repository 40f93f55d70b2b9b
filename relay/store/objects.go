// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"time"
)

// Object is one version of a STIX object, kept byte for byte.
type Object struct {
	// ID is the STIX identifier.
	ID string
	// Type is the STIX type.
	Type string
	// SpecVersion is "2.0" or "2.1".
	SpecVersion string
	// Version is "modified", else "created", in microseconds precision; zero for
	// an object without either (a cyber observable).
	Version time.Time
	// Raw is the object as received.
	Raw []byte
	// Revoked as the object says. It is stored with a new record and not returned.
	Revoked bool
}

// Record is a stored object.
type Record struct {
	Object
	// Seq orders all records of the store. It grows, with gaps.
	Seq int64
	// Collection holds the record.
	Collection string
	// DateAdded is unique in the store and grows with Seq; whole microseconds, UTC.
	DateAdded time.Time
	// Form is that of the decision, in records of a view; see Decision.
	Form string
}

// Outcome says what became of one object of a Put.
type Outcome int

// The outcomes.
const (
	// Added: the version is new.
	Added Outcome = iota + 1
	// Duplicate: the same bytes are stored already.
	Duplicate
	// Forked: the same id and version is stored with other content. The new
	// content is not kept.
	Forked
)

// Query selects records; all parts must agree. Zero parts select everything.
type Query struct {
	// After selects records with a larger position: DateAdded in microseconds
	// since 1970 as Page.Next gave it. Zero starts at the beginning.
	After int64
	// AddedAfter selects records added after this time.
	AddedAfter time.Time
	// IDs selects these object ids, at most 100.
	IDs []string
	// Types selects these object types, at most 100.
	Types []string
	// Specs selects these spec versions. NewestSpec, which counts without Specs
	// only, selects of each object the records of the newest spec version that it has.
	Specs      []string
	NewestSpec bool
	// Versions selects among the versions of each object.
	Versions Versions
	// Now leaves out of a view what is shared by a decision whose Until is not after it. The
	// zero time leaves out nothing. Collections do not know it.
	Now time.Time
	// NoContent leaves Raw out.
	NoContent bool
	// Limit is the largest number of records, 1 to MaxRecords.
	Limit int
}

// Versions selects versions of an object: those that any part of it names. All
// parts look at the records that the reader sees and that Specs or NewestSpec
// select, whatever else the query says. The zero value selects all versions.
type Versions struct {
	// First and Last select the oldest and the newest version. Of records of the same
	// version, from several collections, it is the one added first.
	First, Last bool
	// At selects these versions, at most 100. For an object without version
	// DateAdded stands for it.
	At []time.Time
}

// All tells whether all versions are selected.
func (v Versions) All() bool { return !v.First && !v.Last && len(v.At) == 0 }

// Page is a part of a selection, ascending by DateAdded. Whether more follows is
// told by Next alone: a page may be shorter than Limit, and of a query that selects
// few of many records even empty.
type Page struct {
	Records []Record
	// Next continues the selection when put into Query.After; zero at the end.
	Next int64
}

// Dependents are objects of a collection that were decided by looking at others.
type Dependents struct {
	Collection string
	IDs        []string
}

// Objects keeps the objects of named collections.
type Objects interface {
	// PutObjects stores objects, at most MaxRecords at once, and the cursor of the
	// collection with them, in one transaction. An empty cursor leaves the stored
	// one. The outcomes are in the order of the objects. Repeating a call is safe.
	PutObjects(ctx context.Context, collection string, objects []Object, cursor string) ([]Outcome, error)
	// AdmitTypes notes that a collection may have objects of these types, at most MaxRecords at once, and
	// returns those for which there is no room any more: it has MaxTypes. The names of types are kept for
	// good, so whoever stores what others choose asks first. Types once admitted stay so.
	AdmitTypes(ctx context.Context, collection string, types []string) (refused []string, err error)
	// Cursor returns what was last stored with PutObjects, "" at first.
	Cursor(ctx context.Context, collection string) (string, error)
	// ListObjects returns a page of a collection.
	ListObjects(ctx context.Context, collection string, q Query) (Page, error)
	// DeleteObjects deletes the records of a collection that q selects, q.Limit at
	// most, with the decisions about them, and returns how many these were. q.IDs must
	// not be empty. What was deleted counts nowhere any more; put again, it is a new record.
	// The decisions about dependents lapse in the same step, as by Lapse, if anything is deleted:
	// no failure after it can leave what rests on what is gone. Of very many, most lapse in steps before it: a failure
	// in between leaves them to be decided again, and nothing deleted.
	DeleteObjects(ctx context.Context, collection string, q Query, dependents ...Dependents) (int, error)
	// CountObjects counts the records of collections.
	CountObjects(ctx context.Context, collections ...string) (int64, error)
	// Deletions counts the records that were ever deleted from collections: whoever has read these
	// before and finds the same count has seen nothing that is gone.
	Deletions(ctx context.Context, collections ...string) (int64, error)
}

// Pacer is a store whose writes take turns, or share a disk, so that many objects at once
// keep messages waiting.
type Pacer interface {
	// Pace is the number of objects and decisions that one call should have now, 1 to MaxRecords:
	// fewer while messages are exchanged.
	Pace() int
}
