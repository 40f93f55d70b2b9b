// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk

import "time"

// Values of Message.Standing: what the marks in force come to, the first that applies.
const (
	// Cancelled: its sender takes the message back.
	Cancelled = "Cancelled"
	// Corrected: its sender says something else instead.
	Corrected = "Corrected"
	// Released: what a PRESERVE asks for need not be kept any more.
	Released = "Released"
	// Extended: it is to be kept for longer.
	Extended = "Extended"
)

// Mark is a message by which the sender of another corrects, cancels, extends or releases
// it. Marks are listed by serial, the newest first; those of a correction are among the
// marks of what it corrects. The original stays as it was said.
type Mark struct {
	// Kind is CORRECT, CANCEL, EXTEND or RELEASE.
	Kind string `json:"kind"`
	// ID and Serial of that message, At its author's time.
	ID     string    `json:"id"`
	Serial int64     `json:"serial"`
	At     time.Time `json:"at"`
	// Withdrawn: it was cancelled in its turn, and counts for nothing.
	Withdrawn bool `json:"withdrawn,omitempty"`
}
