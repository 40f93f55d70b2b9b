// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/store"
)

// Store keeps the messages of all lines, and our journal of each.
type Store interface {
	store.Messages
	store.Lines
	store.Escalations
	store.Drafts
}

// change makes a change of the line: it, its entry in our journal and the checkpoint
// over that are one transaction, which concurrent changes share. See the package comment.
func (l *line) change(ctx context.Context, do change) error {
	return l.changeAll(ctx, func(tx store.LineTx) ([]store.JournalEntry, error) {
		entry, err := do(tx)
		if err != nil || entry == nil {
			return nil, err
		}
		return []store.JournalEntry{*entry}, nil
	})
}

// changeAll is change with several entries, which stand one after the other.
func (l *line) changeAll(ctx context.Context, do changes) error {
	err := l.commits.commit(ctx, do, l.store)
	if own, ok := errors.AsType[*ownError](err); ok {
		return own.err
	}
	return err
}

// store runs a batch of changes in one transaction. An error is that of all.
func (l *line) store(ctx context.Context, batch []*waiting) error {
	identity := l.engine.cfg.Identity()
	chain, key := identity.SigningChain()
	if len(chain) == 0 || key == nil {
		return errors.New("signing the journal: there is no signing certificate")
	}
	return l.engine.cfg.Store.ChangeLine(ctx, l.trustDomain, func(tx store.LineTx) error {
		var entries []store.JournalEntry
		for _, w := range batch {
			added, err := w.do(tx)
			if _, own := errors.AsType[*ownError](err); err != nil && !own {
				return err
			}
			if w.err = err; err == nil {
				entries = append(entries, added...)
			}
		}
		if len(entries) == 0 {
			return nil
		}
		b, err := seal(tx, journal.Origin(identity.TrustDomain(), l.trustDomain), entries, chain, key)
		if err != nil {
			return err
		}
		return tx.Append(b)
	})
}

// seal makes the batch that continues our journal with entries: their hashes, and the
// signed checkpoint over everything up to the last.
func seal(r store.LineReader, origin string, entries []store.JournalEntry, chain []*x509.Certificate, key crypto.Signer) (store.JournalBatch, error) {
	newest, hashes, err := r.Journal()
	if err != nil {
		return store.JournalBatch{}, fmt.Errorf("reading the journal: %w", err)
	}
	leaves := make([]tlog.Hash, len(entries))
	for i, e := range entries {
		leaves[i] = journal.LeafHash(journal.Kind(e.Kind), e.Body)
	}
	tree, added, err := journal.Grow(treeOf(newest), leaves, hashReader{r})
	if err != nil {
		return store.JournalBatch{}, err
	}
	signed, err := journal.Seal(journal.Checkpoint{Origin: origin, Tree: tree}, key)
	if err != nil {
		return store.JournalBatch{}, err
	}
	b := store.JournalBatch{
		First: newest.Size, Entries: entries, FirstHash: hashes, Hashes: make([]store.Hash, len(added)),
		Checkpoint: store.Checkpoint{Size: tree.N, Root: store.Hash(tree.Hash), Signed: signed},
	}
	for i, h := range added {
		b.Hashes[i] = store.Hash(h.Hash)
	}
	for _, c := range chain {
		b.Checkpoint.Chain = append(b.Checkpoint.Chain, c.Raw...)
	}
	return b, nil
}

func treeOf(c store.Checkpoint) tlog.Tree { return tlog.Tree{N: c.Size, Hash: tlog.Hash(c.Root)} }

// hashReader reads hashes of our journal as package tlog wants them.
type hashReader struct{ store.LineReader }

// ReadHashes implements tlog.HashReader.
func (r hashReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	stored, err := r.JournalHashes(indexes)
	if err != nil {
		return nil, err
	}
	out := make([]tlog.Hash, len(stored))
	for i, h := range stored {
		out[i] = tlog.Hash(h)
	}
	return out, nil
}

// enqueued is the change that stores a message of ours and enters its payload. What
// compose refuses, or what conflicts with what is stored, leaves other changes alone.
func enqueued(compose func(serial int64) (store.Message, error), into *store.Message) change {
	return func(tx store.LineTx) (*store.JournalEntry, error) {
		var refused error
		m, err := tx.Enqueue(func(serial int64) (m store.Message, err error) {
			m, refused = compose(serial)
			return m, refused
		})
		if err != nil {
			return nil, ofOne(err, refused != nil)
		}
		*into = m
		return &store.JournalEntry{Kind: string(journal.Message), Message: m.ID, Body: m.Payload}, nil
	}
}

// accepted is the change that stores a received message and enters our receipt for it.
func accepted(m store.Message, receipt []byte, into *store.Message, duplicate *bool) change {
	return func(tx store.LineTx) (*store.JournalEntry, error) {
		stored, again, err := tx.Accept(m)
		if err != nil {
			return nil, ofOne(err, false)
		}
		if *into, *duplicate = stored, again; again {
			return nil, nil
		}
		return &store.JournalEntry{Kind: string(journal.Receipt), Body: receipt}, nil
	}
}

// ofOne marks an error after which a transaction can go on, as store.LineTx says.
func ofOne(err error, refused bool) error {
	if refused || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
		return &ownError{err}
	}
	return err
}
