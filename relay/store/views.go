// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"time"
)

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
