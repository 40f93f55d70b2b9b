// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package store

import "time"

// Recovery is how far a line has come to get back what its database lost when it was set back.
// While one is kept, nothing of the line may be sent.
type Recovery struct {
	// Since is when it began.
	Since time.Time
	// Ours is the serial above which the peer is asked for messages of ours: all up to it are here.
	Ours int64
	// Messages of ours and Receipts that came back so far.
	Messages, Receipts int64
}

// Placed is a message of ours without what it says, as one looks at it who gives others their
// serials. Queued: it has no receipt.
type Placed struct {
	ID           string
	Serial       int64
	Conversation string
	Queued       bool
}

// RecoveryReader reads what a recovery needs.
type RecoveryReader interface {
	// Recovery returns the one that is kept; false when there is none.
	Recovery() (Recovery, bool, error)
	// PlacedAfter returns messages of ours with a larger serial, ascending, and PlacedBefore those with
	// a smaller one, descending; at most limit, which is at most MaxMessages.
	PlacedAfter(serial int64, limit int) ([]Placed, error)
	PlacedBefore(serial int64, limit int) ([]Placed, error)
}

// RecoveryWriter keeps it.
type RecoveryWriter interface {
	// KeepRecovery keeps a recovery in the place of the one before; EndRecovery keeps none.
	// Repeating is safe.
	KeepRecovery(r Recovery) error
	EndRecovery() error
}
