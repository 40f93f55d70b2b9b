// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"time"
)

const (
	// MaxDrafts is the largest number of drafts at once.
	MaxDrafts = 100
	// MaxDraftBytes is the largest body of a draft.
	MaxDraftBytes = 1 << 20
)

// Draft is a message of ours that waits for its release, or did once.
type Draft struct {
	// Peer is the trust domain of the other side. ID is unique for each peer; the message
	// that the draft becomes has it too.
	Peer, ID string
	// Waiting until it is released or ends otherwise.
	Waiting bool
	// Precedence of the message.
	Precedence string
	// CreatedAt and ExpiresAt in microseconds, UTC.
	CreatedAt, ExpiresAt time.Time
	// Body is for the caller, at most MaxDraftBytes.
	Body []byte
}

// Check tells whether a draft can be stored.
func (d *Draft) Check() error {
	if d.ID == "" || len(d.Body) == 0 || len(d.Body) > MaxDraftBytes {
		return fmt.Errorf("a draft needs an id, and a body of 1 to %d bytes, not of %d", MaxDraftBytes, len(d.Body))
	}
	return nil
}

// DraftQuery selects drafts, the newest first.
type DraftQuery struct {
	// Peer; empty means all.
	Peer string
	// Waiting ones only.
	Waiting bool
	// Before is the Next of the page before; zero starts with the newest.
	Before int64
	// Limit is 1 to MaxDrafts.
	Limit int
}

// DraftPage is a part of a selection.
type DraftPage struct {
	Drafts []Draft
	// Next continues when put into DraftQuery.Before; zero at the end.
	Next int64
}

// Drafts lists drafts. They are changed by ChangeLine, so that a draft and the message
// that it becomes are one transaction.
type Drafts interface {
	// ListDrafts returns a page of drafts, newest first by the order in which they were
	// stored first.
	ListDrafts(ctx context.Context, q DraftQuery) (DraftPage, error)
}

// DraftReader reads the drafts of a line.
type DraftReader interface {
	// Draft returns a draft by id, or ErrNotFound.
	Draft(id string) (Draft, error)
	// WaitingDrafts is the number of drafts that wait.
	WaitingDrafts() (int64, error)
}

// DraftWriter changes the drafts of a line.
type DraftWriter interface {
	// PutDraft stores a draft in the place of what has its id. The line's peer is its peer.
	PutDraft(d Draft) error
}
