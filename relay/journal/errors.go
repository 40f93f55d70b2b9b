// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package journal

import "errors"

var (
	// ErrMalformed: a checkpoint or proof is not of its published form.
	ErrMalformed = errors.New("malformed")
	// ErrSignature: the checkpoint is not signed by this key for this origin.
	ErrSignature = errors.New("the signature does not hold")
	// ErrNotIncluded: the proof does not lead from the entry to the checkpoint.
	ErrNotIncluded = errors.New("the entry is not in the log of this checkpoint")
	// ErrForked: two checkpoints of one origin are not of one history.
	ErrForked = errors.New("two histories of one log")
	// ErrDamaged: the log does not hold what its checkpoints say.
	ErrDamaged = errors.New("the log was changed")
)
