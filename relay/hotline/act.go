// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/store"
)

// Act is what our people or our relay did about a message: an entry of our journal that
// is not sent to the peer.
type Act struct {
	// Version of this format: 1.
	Version int `json:"version"`
	// Name of the act in capitals, as docs/journal.md lists them.
	Name string `json:"act"`
	// At is the relay's time, UTC.
	At time.Time `json:"at"`
	// Message that it is about, by id, and whose: OUT or IN. Both are empty where it is about the line.
	Message   string `json:"message,omitempty"`
	Direction string `json:"direction,omitempty"`
	// By is the identity that the relay authenticated; empty for the relay itself.
	By string `json:"by,omitempty"`
	// Details by name. They hold no secrets.
	Details map[string]string `json:"details,omitempty"`
}

// Entry is the act as it is journalled.
func (a *Act) Entry() (*store.JournalEntry, error) {
	a.Version, a.At = 1, a.At.UTC().Truncate(time.Microsecond)
	body, err := json.Marshal(a, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encoding act %s: %w", a.Name, err)
	}
	return &store.JournalEntry{Kind: string(journal.Act), Body: body}, nil
}

// Change does something to the line with a peer and journals the entry that it returns,
// if any, in one transaction, which others may share; it is durable on return. An error of
// do undoes the whole transaction and is returned to all, but for one that wraps
// store.ErrConflict or store.ErrNotFound and was met before do changed anything.
func (e *Engine) Change(ctx context.Context, trustDomain string, do func(store.LineTx) (*store.JournalEntry, error)) error {
	l := e.lineTo(trustDomain)
	if l == nil {
		return fmt.Errorf("changing the line: there is no hotline to %q: %w", oneLine(trustDomain), store.ErrNotFound)
	}
	return l.change(ctx, func(tx store.LineTx) (*store.JournalEntry, error) {
		entry, err := do(tx)
		if err != nil {
			return nil, ofOne(err, false)
		}
		return entry, nil
	})
}

// Record journals an act on the line with a peer; it is durable on return.
func (e *Engine) Record(ctx context.Context, trustDomain string, a Act) error {
	return e.Change(ctx, trustDomain, func(store.LineTx) (*store.JournalEntry, error) { return a.Entry() })
}
