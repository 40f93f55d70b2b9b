// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"time"
)

// Limits of the quarantine of one collection.
const (
	// MaxQuarantined and MaxQuarantinedBytes bound what is held. What comes beyond is
	// counted, not kept.
	MaxQuarantined      = 10_000
	MaxQuarantinedBytes = 64 << 20
	// MaxSettled is the number of settled items that are kept as a record; the oldest
	// make room.
	MaxSettled = 10_000
	// MaxGoneRevocations is the number of revocations that are kept of objects of which no version
	// is stored any more; those whose object went first make room.
	MaxGoneRevocations = 10_000
	// MaxSettledBy is the longest name of who settled an item, in bytes.
	MaxSettledBy = 256
)

// ItemState is what became of an item of a quarantine.
type ItemState int

// The states. The numbers are stored.
const (
	// Held waits for somebody to look at it.
	Held ItemState = iota
	// Accepted was put into the collection, in the place of the same version, if it
	// was there. Raw is from then on what it replaced.
	Accepted
	// Dropped is not wanted. Its content is gone; the same content is not held again.
	Dropped
)

// Quarantined is an object that came and was not put into its collection.
type Quarantined struct {
	Object
	// Seq orders the items of all collections; it grows.
	Seq int64
	// Reason is a word of ours.
	Reason string
	// At is when it came; whole microseconds, UTC.
	At time.Time
	// State, and when and by whom it was settled; zero while it is held.
	State     ItemState
	SettledAt time.Time
	SettledBy string
}

// QuarantineQuery selects items, ascending by Seq.
type QuarantineQuery struct {
	Collection string
	// ID selects items of one object; empty means all.
	ID string
	// Settled selects also the items that are settled.
	Settled bool
	// After selects items with a larger Seq.
	After int64
	// NoContent leaves Raw out.
	NoContent bool
	// Limit is 1 to MaxRecords.
	Limit int
}

// QuarantinePage is a part of a selection; it ends early at MaxPageBytes.
type QuarantinePage struct {
	Items []Quarantined
	// Next continues the selection when put into QuarantineQuery.After; zero at the end.
	Next int64
}

// QuarantineCounts sums up the quarantine of a collection.
type QuarantineCounts struct {
	// Held and Bytes are what is held.
	Held, Bytes int64
	// Overflow counts what found no room, each time that it came.
	Overflow int64
}

// Quarantine keeps what must not go into a collection and must not be lost either.
type Quarantine interface {
	// PutQuarantined stores items, at most MaxRecords. What is held or settled already,
	// with the same id, version, reason and content, is left as it is.
	PutQuarantined(ctx context.Context, collection string, items []Quarantined) error
	// ListQuarantined returns a page of items.
	ListQuarantined(ctx context.Context, q QuarantineQuery) (QuarantinePage, error)
	// CountQuarantined counts the items of a collection.
	CountQuarantined(ctx context.Context, collection string) (QuarantineCounts, error)
	// SettleQuarantined makes a held item Accepted or Dropped, and returns it as it is
	// then. Accepted, its content is a new record of the collection, in the place of the
	// one with the same id and version. ErrNotFound if the collection has no such item;
	// ErrConflict if it is settled.
	SettleQuarantined(ctx context.Context, collection string, seq int64, state ItemState, by string) (Quarantined, error)
}

// Revocations keeps which objects of a collection are revoked: for as long as a version of the
// object is stored, and longer, see MaxGoneRevocations. That an object is stored as revoked is
// not noted by PutObjects: note it before.
type Revocations interface {
	// NoteRevocations stores since which version each object, at most MaxRecords, is
	// revoked; the earliest stays.
	NoteRevocations(ctx context.Context, collection string, since map[string]time.Time) error
	// Revoked returns of objects, at most MaxRecords, those that are revoked, and since
	// which version.
	Revoked(ctx context.Context, collection string, ids []string) (map[string]time.Time, error)
}
