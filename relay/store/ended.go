// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"time"
)

// MaxForgotten is the largest number of rows of each kind that one ForgetEnded deletes.
const MaxForgotten = 1000

// Ended lets go of what ended long ago. The journal keeps what was done.
type Ended interface {
	// ForgetEnded deletes, of the line with a peer, what ended before a time: notices that were told or given up,
	// unless the escalation that they belong to is open; steps that were settled; and drafts that do
	// not wait, by when they would have expired. It deletes the oldest, at most limit of each
	// kind, 1 to MaxForgotten, and tells how many rows went; less than limit means that none is left.
	// What is open, queued or waiting stays at any age, and so do messages and the journal. It works on a full
	// disk, too, as it lets go of something. Repeating it is safe.
	ForgetEnded(ctx context.Context, peer string, before time.Time, limit int) (int64, error)
}

// CheckForgotten tells whether a limit is one of ForgetEnded.
func CheckForgotten(limit int) error {
	if limit < 1 || limit > MaxForgotten {
		return fmt.Errorf("letting go of what ended: a limit of %d is not within 1 and %d", limit, MaxForgotten)
	}
	return nil
}
