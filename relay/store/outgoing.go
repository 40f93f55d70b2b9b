// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"time"
)

// Limits of what is kept about what has left.
const (
	// MaxEvidence is the length of the longest evidence of a decision in bytes.
	MaxEvidence = 8 << 10
	// MaxRefusals is the largest number of refusals kept of a view; the oldest go first.
	MaxRefusals = 10_000
	// MaxReceipt is the length of the longest receipt in bytes.
	MaxReceipt = 128 << 10
)

// Replacing is the reason of a record that was handed out in one form and is to be
// shared in another: it is held until its withdrawal was announced.
const Replacing = "Replacing"

// Progress says how far a peer has come in a view. Positions are those of
// Page.Next: DateAdded in microseconds since 1970.
type Progress struct {
	// HandedTo is the position up to which records were given to HandOut's caller:
	// these may have left. HandOut alone moves it.
	HandedTo int64
	// SentTo is the position up to which pages were written to their ends, SentAt when.
	SentTo int64
	SentAt time.Time
	// ReceivedTo is the position up to which the peer has stored what it read, as it
	// says by coming back behind it or by a receipt, ReceivedAt when it said so.
	ReceivedTo int64
	ReceivedAt time.Time
	// Receipt is the peer's last signed receipt, at most MaxReceipt bytes; nil if it
	// has sent none.
	Receipt []byte
	// ReceiptAt is when the peer signed it, as it says; zero if that is not known.
	ReceiptAt time.Time
}

// Refusal is a version that a peer has received and not kept.
type Refusal struct {
	// ID and Version of the object; the zero time for one without.
	ID      string
	Version time.Time
	// Reason in the peer's word, at most 64 bytes.
	Reason string
	// At is when we were told.
	At time.Time
}

// Withdrawal is a version that a peer was handed and should now drop.
type Withdrawal struct {
	// Position orders the withdrawals of a view; it grows, and is unique in the store.
	Position int64
	ID       string
	// Version of the object; the zero time for one without.
	Version time.Time
}

// Reference is a relation between two objects of a collection on which decisions depend.
type Reference struct {
	// Kind is a word of the reader's, such as "contains".
	Kind string
	// From and To are STIX identifiers. To need not be stored.
	From, To string
}

// Outgoing keeps what has left, what must be taken back, and what ties decisions together.
type Outgoing interface {
	Handing
	Arrivals
	Takings
	References
}

// Handing gives out what may leave, and finds what is to be decided again.
type Handing interface {
	// HandOut is ListView for a page that leaves. When it returns, what the page holds
	// counts as handed out, durably: no record of it can be held or deleted without a
	// withdrawal. A page without content hands out nothing.
	HandOut(ctx context.Context, v View, collections []string, q Query) (Page, error)
	// Lapsed returns, ascending by Seq, records of collections whose decision is to be
	// made again: Until is not after now, or Lapse or PutReferences named them. At most limit.
	// Those without any decision, or with one under another rule, are Undecided's.
	Lapsed(ctx context.Context, v View, collections []string, now time.Time, limit int) ([]Record, error)
	// UndecidedRevoked is Undecided for records with Revoked, behind the position after
	// (a Seq), so that they can be decided before the others.
	UndecidedRevoked(ctx context.Context, v View, collections []string, after int64, limit int) ([]Record, error)
	// Lapse takes back, in all views, the decisions about the records of these objects of a
	// collection, at most MaxRecords objects: until they are decided again they are
	// not shown, as after a change of the rule. Very many lapse in steps: a failure may leave some
	// taken back, and the call is to be repeated.
	Lapse(ctx context.Context, collection string, ids []string) error
}

// Arrivals keep how far peers have come, and what they did not keep.
type Arrivals interface {
	// SharedFrom returns, sorted, the collections of which a view shares records, under
	// whatever rule.
	SharedFrom(ctx context.Context, feed, peer string) ([]string, error)

	// Progress returns how far a peer has come in a feed; zero if it never came.
	Progress(ctx context.Context, feed, peer string) (Progress, error)
	// SetProgress stores progress: a later SentTo with SentAt, a later ReceivedTo with
	// ReceivedAt, and a receipt that is not nil; the rest stays. Refusals, at most MaxRecords,
	// take the place of an older one of the same version. With a receipt whose ReceiptAt is before
	// that of the stored one nothing changes: it was sent, or came, again.
	SetProgress(ctx context.Context, feed, peer string, p Progress, refused []Refusal) error
	// Refusals returns what the peer has refused of an object, ascending by version, at most limit.
	Refusals(ctx context.Context, feed, peer, id string, limit int) ([]Refusal, error)
	// CountRefusals counts the refusals kept of a view.
	CountRefusals(ctx context.Context, feed, peer string) (int64, error)
}

// Takings keep what peers must drop.
type Takings interface {
	// Withdrawals returns, ascending by Position, versions that were handed out and are
	// now held or deleted, at most limit. A version is there once for each time.
	Withdrawals(ctx context.Context, feed, peer string, limit int) ([]Withdrawal, error)
	// ClearWithdrawals forgets those up to a position: they were announced.
	ClearWithdrawals(ctx context.Context, feed, peer string, upTo int64) error
}

// References tie decisions together.
type References interface {
	// PutReferences stores references found in a collection, at most MaxRecords, and lapses
	// (see Lapse) what a new one refers to. Repeating a call is safe.
	PutReferences(ctx context.Context, collection string, references []Reference) error
	// ReferencesTo returns the references in a collection to objects, at most MaxSelectors
	// ids, ascending by To, Kind and From, at most limit. References from an object are gone with
	// the last of its versions in the collection.
	ReferencesTo(ctx context.Context, collection string, to []string, limit int) ([]Reference, error)
}
