// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package store says what the relay needs of a database: narrow interfaces and
// sentinel errors, no SQL. One conformance suite (storetest) is run over every
// engine.
//
// Durable means fsynced before success: every method that changes something has
// its effect on stable storage when it returns nil, and has no effect at all
// when it returns an error. All methods may be called concurrently.
package store

import "errors"

var (
	// ErrNotFound: there is no such record.
	ErrNotFound = errors.New("not found")
	// ErrConflict: a record with the same key and other content is stored.
	ErrConflict = errors.New("stored with other content")
	// ErrFull: the storage has no room. Nothing of the call was stored.
	ErrFull = errors.New("storage is full")
	// ErrNewerSchema: the database was written by a newer release; a downgrade
	// is refused.
	ErrNewerSchema = errors.New("database schema is newer than this release")
)

// Store is everything that a relay keeps.
type Store interface {
	Feeds
	Hotlines
	Attachments
	Trust
	Sealing
	Leases
	News
	// Close ends all use of the store.
	Close() error
}

// Feeds is what it keeps of feeds.
type Feeds interface {
	Objects
	Views
	Outgoing
	Deliveries
	Quarantine
	Revocations
}

// Hotlines is what it keeps of hotlines.
type Hotlines interface {
	Messages
	Lines
	LineChecks
	Drafts
	Escalations
	Ended
}

// Limits of one call.
const (
	// MaxRecords is the largest number of objects, decisions or records at once.
	MaxRecords = 10000
	// MaxMessages is the largest number of messages at once.
	MaxMessages = 1000
	// MaxSelectors is the largest number of ids, types, versions or collections of a query.
	MaxSelectors = 100
	// MaxTypes is the largest number of types that AdmitTypes admits to a collection.
	MaxTypes = 1000
	// MaxPageBytes ends a page early: when its content reaches this size the page
	// ends, even if Limit allows more. A page with content holds at least one item.
	MaxPageBytes = 8 << 20
)
