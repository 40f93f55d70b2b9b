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

import (
	"context"
	"errors"
	"time"
)

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
}

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

// Page is a part of a selection, ascending by DateAdded. Whether more follows is
// told by Next alone: a page may be shorter than Limit, and of a query that selects
// few of many records even empty.
type Page struct {
	Records []Record
	// Next continues the selection when put into Query.After; zero at the end.
	Next int64
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
	DeleteObjects(ctx context.Context, collection string, q Query) (int, error)
	// CountObjects counts the records of collections.
	CountObjects(ctx context.Context, collections ...string) (int64, error)
	// Deletions counts the records that were ever deleted from collections: whoever has read these
	// before and finds the same count has seen nothing that is gone.
	Deletions(ctx context.Context, collections ...string) (int64, error)
}

// Pacer is a store whose writes take turns, so that many objects at once keep
// messages waiting.
type Pacer interface {
	// Pace is the number of objects and decisions that one call should have now, 1 to MaxRecords:
	// fewer while messages are exchanged.
	Pace() int
}

// View is what one peer sees of one feed under one rule.
type View struct {
	// Feed and Peer name the view.
	Feed, Peer string
	// Rule is a hash over everything that the decisions depend on. Decisions
	// under another rule do not count.
	Rule string
}

// Decision says whether a record may leave.
type Decision struct {
	// Seq of the record.
	Seq int64
	// Share allows the record to leave; nothing else does.
	Share bool
	// Reason why it is held, or which rule allows it. A word of ours, no data of
	// the object.
	Reason string
	// Form says in a word of ours how the record leaves; "" means as it is stored. They
	// are few. Held records have none.
	Form string
	// Until is when the decision lapses, see Outgoing.Lapsed; zero means never.
	Until time.Time
	// Evidence for people, at most MaxEvidence bytes.
	Evidence string
	// Rests is what else was looked at for it; nil if nothing was but the record itself.
	Rests *Basis
}

// Basis is what decisions rest on besides their records: other records of some collections, which were
// read after the deletions of these were counted.
type Basis struct {
	Collections []string
	// Deletions is what Objects.Deletions counted of them, before the others were read.
	Deletions int64
}

// Counts sums up the decisions of a view.
type Counts struct {
	Shared int64
	// Held counts by reason.
	Held map[string]int64
	// Undecided counts records without a decision under the view's rule.
	Undecided int64
}

// Explained is a record with what was decided about it in a view.
type Explained struct {
	// Record without its content.
	Record
	// Rule under which it was decided last; "" while it never was.
	Rule string
	// Share, Reason, Until and Evidence are that decision, as in Decision; Form is in Record.
	Share    bool
	Reason   string
	Until    time.Time
	Evidence string
	// DecidedAt is when the decision was stored; zero if an older release stored it.
	DecidedAt time.Time
	// SharedAt is the record's DateAdded in the view; zero while it is held.
	SharedAt time.Time
}

// Views keeps, for each feed and peer, what was decided about each record.
type Views interface {
	// Explain returns the records of an object in collections, each with the last
	// decision of the view about it, under whatever rule; ascending by version, at
	// most limit.
	Explain(ctx context.Context, v View, collections []string, id string, limit int) ([]Explained, error)
	// Undecided returns, ascending by Seq, records of collections that have no
	// decision under the view's rule, at most limit. Fewer may be returned although
	// more exist; none means that there are none.
	Undecided(ctx context.Context, v View, collections []string, limit int) ([]Record, error)
	// Decide stores decisions, at most MaxRecords at once. A record that was shared
	// before and still is, in the same form, keeps its place; one newly shared gets a new,
	// later DateAdded in the view. One that was handed out and is held now becomes a
	// withdrawal. One that was handed out and is to leave in another form is held for the
	// reason Replacing, becomes a withdrawal, and is Lapsed. One whose Basis does not hold any more, as
	// something was deleted from its collections, is stored and Lapsed, as by Lapse, in the same step:
	// no failure after it can leave what rests on nothing. ErrNotFound if there is no such record.
	Decide(ctx context.Context, v View, decisions []Decision) error
	// ListView returns a page of the records of collections that are shared under
	// the view's rule; DateAdded is that of the view. While records that were
	// shared under another rule wait for a decision under this one, the selection
	// ends before the first of them: they may keep their places, and a reader who
	// continues from where it was must not have passed them.
	ListView(ctx context.Context, v View, collections []string, q Query) (Page, error)
	// CountView counts the decisions about records of collections.
	CountView(ctx context.Context, v View, collections []string) (Counts, error)
}

// Direction of a message.
type Direction string

// The directions.
const (
	Out Direction = "out"
	In  Direction = "in"
)

// Message is a hotline message as stored.
type Message struct {
	Direction Direction
	// Peer is the trust domain of the other side.
	Peer string
	// ID is a ULID, unique for each direction and peer.
	ID string
	// Serial counts the messages of one direction and peer from 1, without gaps
	// at the sender.
	Serial int64
	// Conversation, Kind, Precedence, InReplyTo as in the payload.
	Conversation, Kind, Precedence, InReplyTo string
	// Payload is the exact content that is entered into the sender's journal.
	Payload []byte
	// Entry is the place in our journal, from 1: of a message of ours (Out) its own, of a
	// received one (In) that of our receipt. Zero before there was a journal.
	Entry int64
	// Urgency is 0 for a message that goes as FLASH does, growing with less urgent ones: that
	// of its precedence, or of a later one of its conversation. The store sets it.
	Urgency int
	// Attachments that the payload names, which must be stored complete: storing the
	// message holds them. They are not returned.
	Attachments []AttachmentUse
	// Signed is the signed message as earlier releases exchanged it, one by one.
	Signed []byte
	// Proof is that of what the peer said, its message (In) or its receipt (Out). It is read with
	// LineReader.Proof, and not returned otherwise.
	Proof Proof
	// CreatedAt is the author's time, StoredAt that of this store.
	CreatedAt, StoredAt time.Time
	// Receipt is the body of the peer's receipt (Out) or of ours (In); nil before. Of
	// earlier releases it is a JWS.
	Receipt []byte
	// ReceiptAt is when the receiving side stored the message; zero before.
	ReceiptAt time.Time
	// AcknowledgedBy is the id of the ACK message and AcknowledgedAt its time;
	// zero before.
	AcknowledgedBy string
	AcknowledgedAt time.Time
}

// MessageQuery selects messages, newest first.
type MessageQuery struct {
	// Direction and Peer; empty means both and all.
	Direction Direction
	Peer      string
	// ID, Conversation and Kind of messages; empty means all. A Conversation needs a Peer.
	ID, Conversation, Kind string
	// Unread selects received messages that our desk has not acknowledged, but for ACKs
	// and line checks, which are for relays.
	Unread bool
	// Before selects messages stored before the message with this rowid-like
	// position; zero starts with the newest.
	Before int64
	// Limit is 1 to MaxMessages.
	Limit int
}

// MessagePage is a part of a selection.
type MessagePage struct {
	Messages []Message
	// Next continues when put into MessageQuery.Before; zero at the end.
	Next int64
}

// Messages keeps the hotline's outbox and inbox.
type Messages interface {
	// Enqueue stores a message of ours. It gives the next serial for the peer to
	// compose, which must not block or use the store, and stores what that returns.
	// An error of compose is returned as it is, and uses up no serial. An id that
	// is stored already is ErrConflict. An ACK marks the received message that
	// InReplyTo names as acknowledged in the same transaction; ErrNotFound if there
	// is none, and a second ACK for it is ErrConflict. ErrIncomplete if an attachment is
	// not stored complete.
	Enqueue(ctx context.Context, peer string, compose func(serial int64) (Message, error)) (Message, error)
	// Pending returns messages to the peer without receipt, the most urgent
	// precedence first, then by serial, at most limit. A message counts as urgent
	// as the most urgent later one of its conversation, so that the order within a
	// conversation is that of the serials. Messages of the conversations in without,
	// at most MaxSelectors, are left out.
	Pending(ctx context.Context, peer string, limit int, without ...string) ([]Message, error)
	// Accept stores a received message, with our receipt. If the id is stored
	// with the same payload it returns what is stored and duplicate; with another
	// payload, or another id under the same serial, ErrConflict. An ACK marks the
	// message of ours that InReplyTo names, in the same transaction; the first ACK
	// stays, and one that names no message of ours marks nothing. ErrIncomplete if an
	// attachment of a message that is new is not stored complete.
	Accept(ctx context.Context, m Message) (stored Message, duplicate bool, err error)
	// GetMessage returns a message by direction, peer and id, or ErrNotFound.
	GetMessage(ctx context.Context, d Direction, peer, id string) (Message, error)
	// ListMessages returns a page of messages, newest first by the order in which
	// this store got them.
	ListMessages(ctx context.Context, q MessageQuery) (MessagePage, error)
	// Marks returns what messages of marking kinds say about the messages with these
	// ids, at most MaxMarked, of one direction and peer: the newest serial of each
	// target first, at most MaxMarks for each.
	Marks(ctx context.Context, d Direction, peer string, ids []string) ([]Mark, error)
	// Outstanding returns messages of ours to the peer without receipt, and those
	// with receipt that are not acknowledged (ACK messages are never
	// acknowledged); at most limit of each, the most urgent first, then by serial. Payload, Signed and
	// Receipt are left out.
	Outstanding(ctx context.Context, peer string, limit int) (noReceipt, noAck []Message, err error)
	// CountMessages sums up the hotline with a peer.
	CountMessages(ctx context.Context, peer string) (MessageCounts, error)
}

// MessageCounts sums up the messages exchanged with a peer.
type MessageCounts struct {
	// Queued are ours without receipt.
	Queued int64
	// Unacknowledged are received messages that our desk has not acknowledged, but for ACKs
	// and line checks.
	Unacknowledged int64
	// LastReceipt is the newest ReceiptAt of our messages.
	LastReceipt time.Time
	// Gaps is the number of serials of the peer that are missing below the
	// largest one received.
	Gaps int64
}
