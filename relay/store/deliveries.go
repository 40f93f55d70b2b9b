// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"time"
)

// MaxDeadReason is the longest reason of a dead letter in bytes; more is cut off.
const MaxDeadReason = 512

// Delivery says how far objects of a collection were handed on to a system of ours.
type Delivery struct {
	// Position up to which every record was delivered, or became a dead letter; as
	// Page.Next. Zero at first.
	Position int64
	// Delivered counts the records that the other side took, once for each time.
	Delivered int64
	// Dead is the number of dead letters, and Queued how many of them are to be tried again.
	Dead, Queued int64
}

// DeadLetter is a record that a system of ours did not take.
type DeadLetter struct {
	// Seq of the record, which orders the letters.
	Seq int64
	// ID and Version of the object; the zero time for one without.
	ID      string
	Version time.Time
	// Reason in one line, without secrets.
	Reason string
	// At is when it was given up; whole microseconds, UTC.
	At time.Time
	// Queued: it is to be tried again.
	Queued bool
}

// Advance is one step of a delivery.
type Advance struct {
	// From is the position before the step, and To the one behind it.
	From, To int64
	// Delivered is the number of records that were taken.
	Delivered int64
	// Dead are those that were not, at most MaxRecords.
	Dead []DeadLetter
}

// Deliveries keeps how far each delivery of each collection has come. A delivery is
// named by its collection and a name of its own.
type Deliveries interface {
	// Delivery returns the state of a delivery; zero if it never began.
	Delivery(ctx context.Context, collection, name string) (Delivery, error)
	// AdvanceDelivery stores a step: position, counts and dead letters in one
	// transaction. ErrConflict if the position is not From: somebody else made the step.
	AdvanceDelivery(ctx context.Context, collection, name string, step Advance) error
	// DeadLetters returns, ascending by Seq, dead letters with a larger Seq than after, at
	// most limit (1 to MaxRecords); with queued only those that are to be tried again.
	DeadLetters(ctx context.Context, collection, name string, after int64, queued bool, limit int) ([]DeadLetter, error)
	// QueueDeadLetters has all dead letters of a delivery tried again, and returns how many
	// these are.
	QueueDeadLetters(ctx context.Context, collection, name string) (int64, error)
	// SettleDeadLetters forgets the letters taken, at most MaxRecords, which count as
	// delivered, and stores again those of dead, no longer queued. What is no dead letter
	// is left alone.
	SettleDeadLetters(ctx context.Context, collection, name string, taken []int64, dead []DeadLetter) error
	// Waiting counts the records of a collection behind a position, but no further than most.
	Waiting(ctx context.Context, collection string, position, most int64) (int64, error)
}
