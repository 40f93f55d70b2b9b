// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"time"
)

// Limits of what is kept of line checks, availability and exercises.
const (
	// MaxLineCheckContent is the largest content of a line check, in bytes; its statement
	// and receipt have at most MaxLineStatement bytes each.
	MaxLineCheckContent = 8 << 10
	// MaxLineStatement is the largest signed statement or document about a line, in bytes.
	MaxLineStatement = 256 << 10
	// SignedLineChecks is of how many checks of a path and direction, the newest, the signed
	// forms are kept: they are much larger than what they say, and its digest stays.
	SignedLineChecks = 64
	// MaxLineCheckPaths is how many paths of a direction, those checked last, have their newest
	// two checks kept when all are summed up: peers name paths, and may name new ones for ever.
	MaxLineCheckPaths = 128
	// MaxLineChecks is the largest number of line checks at once.
	MaxLineChecks = 1000
)

// LineCheck is one check of one path in one direction.
type LineCheck struct {
	// Direction is Out for a check of ours, In for one of the peer.
	Direction Direction
	// Path names the path for both sides; see package linecheck.
	Path string
	// Number counts the checks of a direction and path from 1.
	Number int64
	// Slot is the time for which it was due, as its sender says.
	Slot time.Time
	// At is when we stored it, DoneAt when it had succeeded by our clock: the receipt was
	// verified (Out), or it arrived (In). Zero while it has not.
	At, DoneAt time.Time
	// Content is what package linecheck wants to know of it.
	Content []byte
	// Statement is the check as its sender signed it, Receipt the peer's signed receipt (Out).
	// Lists leave them out.
	Statement, Receipt []byte
}

// Check tells whether a line check is within its bounds.
func (c *LineCheck) Check() error {
	switch {
	case c.Direction != In && c.Direction != Out:
		return fmt.Errorf("a line check has no direction %q", c.Direction)
	case c.Path == "" || c.Number < 1:
		return fmt.Errorf("a line check needs a path and a number from 1")
	case len(c.Content) > MaxLineCheckContent || len(c.Statement) > MaxLineStatement || len(c.Receipt) > MaxLineStatement:
		return fmt.Errorf("line check %d of %q is larger than its bounds", c.Number, c.Path)
	}
	return nil
}

// LineCheckQuery selects line checks by their slots.
type LineCheckQuery struct {
	// From and To bound the slots; To is not part of it.
	From, To time.Time
	// After continues behind a check of an earlier page; nil begins.
	After *LineCheck
	// Limit is 1 to MaxLineChecks.
	Limit int
}

// LineCheckDay sums up the checks of one day (UTC) of a line.
type LineCheckDay struct {
	// Day counts days since 1970-01-01.
	Day int64
	// Content is for package linecheck.
	Content []byte
}

// LineRecord is a document about a line that people keep: part of an availability record
// or of an exercise.
type LineRecord struct {
	// Kind, Name and Part are its key, each 1 to 128 bytes.
	Kind, Name, Part string
	// Content as it was signed or written.
	Content []byte
	// Final: it is not replaced any more.
	Final bool
	// At is when it was stored.
	At time.Time
}

// Check tells whether a record is within its bounds.
func (r *LineRecord) Check() error {
	for _, s := range []string{r.Kind, r.Name, r.Part} {
		if s == "" || len(s) > 128 {
			return fmt.Errorf("the key of a record of the line must have 1 to 128 bytes")
		}
	}
	if len(r.Content) > MaxLineStatement {
		return fmt.Errorf("record %s of %d bytes is larger than %d", r.Name, len(r.Content), MaxLineStatement)
	}
	return nil
}

// Traffic counts the messages of a line in a time.
type Traffic struct {
	// Sent are ours whose receipt says that they were stored in that time, Received those
	// that we stored; without those of exercises, which are counted apart.
	Sent, Received, ExerciseSent, ExerciseReceived int64
	// LongestReceipt is the longest time from our storing a message of ours, without
	// exercises, to the time in its receipt.
	LongestReceipt time.Duration
}

// LineChecks keeps what is known of the availability of lines. What changes it is in
// LineCheckTx.
type LineChecks interface {
	// LatestLineChecks returns, of each direction and path, the check with the largest
	// number, and the one that succeeded last.
	LatestLineChecks(ctx context.Context, peer string) ([]LineCheck, error)
	// ListLineChecks returns checks, ascending by slot, direction, path and number.
	ListLineChecks(ctx context.Context, peer string, q LineCheckQuery) ([]LineCheck, error)
	// LineCheckDays returns the sums of the days from first to before last, ascending.
	LineCheckDays(ctx context.Context, peer string, first, last int64) ([]LineCheckDay, error)
	// GetLineRecord returns a record, or ErrNotFound.
	GetLineRecord(ctx context.Context, peer, kind, name, part string) (LineRecord, error)
	// ListLineRecords returns the records of a kind, the newest names first by their
	// bytes, then by part; at most limit, 1 to MaxLineChecks.
	ListLineRecords(ctx context.Context, peer, kind string, limit int) ([]LineRecord, error)
	// ExerciseOf returns the name of the exercise that a conversation belongs to, "" if it
	// is none.
	ExerciseOf(ctx context.Context, peer, conversation string) (string, error)
	// CountTraffic counts the messages with a peer from a time to before another.
	CountTraffic(ctx context.Context, peer string, from, to time.Time) (Traffic, error)
}

// LineCheckTx is the part of LineTx that changes what LineChecks keeps.
type LineCheckTx interface {
	// LineCheck returns a check with everything, or ErrNotFound; LastLineCheck that of a
	// direction and path with the largest number.
	LineCheck(d Direction, path string, number int64) (LineCheck, error)
	LastLineCheck(d Direction, path string) (LineCheck, error)
	// LineCheckPaths counts the paths of a direction with a check that was stored since a time.
	LineCheckPaths(d Direction, since time.Time) (int, error)
	// PutLineCheck stores a check, or replaces it but for At. It takes the statement and the
	// receipt from the one that is older than the newest SignedLineChecks of the path.
	PutLineCheck(c LineCheck) error
	// SumLineChecks stores the sums of days, and deletes the checks with a slot before a
	// time, but for the newest two of each direction and path, of the MaxLineCheckPaths paths
	// of a direction that were checked last.
	SumLineChecks(days []LineCheckDay, before time.Time) error
	// DropLineCheckDays deletes the sums of days before one.
	DropLineCheckDays(before int64) error
	// PutLineRecord stores a record, or replaces one that is not final. ErrConflict if one
	// with other content is final.
	PutLineRecord(r LineRecord) error
	// PutExercise notes that a conversation belongs to an exercise. ErrConflict if it
	// belongs to another.
	PutExercise(conversation, name string) error
}
