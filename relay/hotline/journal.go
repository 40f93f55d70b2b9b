// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
	store.Ended
	// ExerciseOf is that of store.LineChecks.
	ExerciseOf(ctx context.Context, peer, conversation string) (string, error)
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

// store runs a batch of changes in one transaction. An error is that of all. Messages of ours
// may leave as soon as it is written; it returns when it is on stable storage.
func (l *line) store(ctx context.Context, batch []*waiting) error {
	var done written
	err := l.engine.cfg.Store.ChangeLine(ctx, l.trustDomain, func(tx store.LineTx) error {
		newest, hashes, err := tx.Journal()
		if err != nil {
			return fmt.Errorf("reading the journal: %w", err)
		}
		if err := l.compareOwn(tx, newest, l.knownOwn()); err != nil {
			return err
		}
		entries := make([]store.JournalEntry, 0, len(batch))
		done = written{from: newest.Size, queued: make([]store.Message, 0, len(batch))}
		p := &placing{LineTx: tx}
		for _, w := range batch {
			p.begin(newest.Size + int64(len(entries)) + 1)
			more, err := w.do(p)
			if _, own := errors.AsType[*ownError](err); err != nil && !own {
				return err
			}
			if w.err = err; err != nil {
				continue
			}
			if err := p.place(more); err != nil {
				return err
			}
			entries, done.queued = append(entries, more...), p.queued(done.queued)
			done.moved = done.moved || p.moved
		}
		if done.added, err = l.append(tx, newest, hashes, entries); err == nil {
			tx.Written(func() { l.written(&done, batch) })
		}
		return err
	})
	if err != nil && len(done.queued) > 0 {
		l.pokeAll() // it may have been made: PostgreSQL's answer to a commit can get lost
	}
	return err
}

// written is what a transaction did.
type written struct {
	// from is the size of our journal before, added the last that was added to it.
	from  int64
	added store.JournalBatch
	// queued are messages of ours that wait now; moved: some did before, in other places.
	queued []store.Message
	moved  bool
}

// written notes what a transaction added to our journal, and lets its messages leave: the peer
// takes each once, and whoever waits for the transaction is answered when it is on stable storage.
func (l *line) written(w *written, batch []*waiting) {
	if len(w.added.Entries) > 0 {
		l.hashes.committed(&w.added)
		l.grown(w.added.Checkpoint)
		l.queuedNow(w)
	}
	for _, one := range batch {
		if one.written != nil && one.err == nil {
			one.written()
		}
	}
	has := func(precedence string) bool {
		return slices.ContainsFunc(w.queued, func(m store.Message) bool { return m.Precedence == precedence })
	}
	switch flash := has("FLASH"); {
	case flash, has("IMMEDIATE"):
		l.hurry(flash)
	case len(w.queued) > 0:
		l.poke()
	}
}

// append adds entries to our journal, and returns the last batch: usually they are one.
func (l *line) append(tx store.LineTx, newest store.Checkpoint, hashes int64, entries []store.JournalEntry) (last store.JournalBatch, err error) {
	read := l.hashReader(tx)
	for part := range slices.Chunk(entries, store.MaxJournalEntries) {
		if last, err = l.seal(read, newest, hashes, part); err != nil {
			return last, err
		}
		if err := tx.Append(last); err != nil {
			return last, err
		}
		newest, hashes = last.Checkpoint, hashes+int64(len(last.Hashes))
		read = plainHashes{tx} // what is not committed must not stay in memory
	}
	return last, nil
}

// placing tells messages the place in our journal that they will have, if their entry is the
// first of the change that stores them.
type placing struct {
	store.LineTx
	next   int64
	placed []placed
	// own are the messages of ours among them that wait for a receipt.
	own []store.Message
	// moved: one of them was queued before.
	moved bool
}

// placed is a message that was told its place; own is where it is in own, from 1.
type placed struct {
	direction store.Direction
	id        string
	entry     int64
	own       int
}

// begin is called before each change, with the place of its first entry.
func (p *placing) begin(next int64) {
	clear(p.own)
	p.placed, p.own, p.next, p.moved = p.placed[:0], p.own[:0], next, false
}

// queued adds the messages of ours that were stored.
func (p *placing) queued(list []store.Message) []store.Message { return append(list, p.own...) }

// Enqueue implements store.LineTx.
func (p *placing) Enqueue(compose func(serial int64) (store.Message, error)) (store.Message, error) {
	m, err := p.LineTx.Enqueue(p.first(compose))
	return p.note(m), err
}

// Move implements store.LineTx.
func (p *placing) Move(id string, serial int64, compose func(old store.Message, serial int64) (store.Message, error)) (store.Message, error) {
	m, err := p.LineTx.Move(id, serial, func(old store.Message, serial int64) (store.Message, error) {
		m, err := compose(old, serial)
		m.Entry = p.next
		return m, err
	})
	if err != nil {
		return m, err
	}
	m.ID, m.Direction, p.moved = id, store.Out, true
	return p.note(m), nil
}

// Accept implements store.LineTx.
func (p *placing) Accept(m store.Message) (store.Message, bool, error) {
	m.Entry = p.next
	stored, duplicate, err := p.LineTx.Accept(m)
	if duplicate || err != nil {
		return stored, duplicate, err
	}
	return p.note(stored), false, nil
}

// Restore implements store.LineTx.
func (p *placing) Restore(m store.Message) error {
	m.Entry, m.Direction, p.moved = p.next, store.Out, true
	err := p.LineTx.Restore(m)
	if err == nil {
		p.note(m)
	}
	return err
}

// Replace implements store.LineTx.
func (p *placing) Replace(m store.Message) error {
	m.Entry, m.Direction, p.moved = p.next, store.Out, true
	err := p.LineTx.Replace(m)
	if err == nil {
		p.note(m)
	}
	return err
}

func (p *placing) first(compose func(serial int64) (store.Message, error)) func(serial int64) (store.Message, error) {
	return func(serial int64) (store.Message, error) {
		m, err := compose(serial)
		m.Entry = p.next
		return m, err
	}
}

func (p *placing) note(m store.Message) store.Message {
	at := placed{direction: m.Direction, id: m.ID, entry: m.Entry}
	if m.Direction == store.Out && m.Receipt == nil {
		p.own = append(p.own, m)
		at.own = len(p.own)
	}
	p.placed = append(p.placed, at)
	p.next++
	return m
}

// place corrects the places of messages whose entries came later.
func (p *placing) place(entries []store.JournalEntry) error {
	first := p.next - int64(len(p.placed))
	for k := range p.placed {
		m := &p.placed[k]
		if k < len(entries) && m.of(&entries[k]) && m.entry == first+int64(k) {
			continue // as nearly always
		}
		for i := range entries {
			if !m.of(&entries[i]) || m.entry == first+int64(i) {
				continue
			}
			if err := p.Place(m.direction, m.id, first+int64(i)); err != nil {
				return err
			}
			if m.entry = first + int64(i); m.own > 0 {
				p.own[m.own-1].Entry = m.entry
			}
		}
	}
	return nil
}

func (m *placed) of(e *store.JournalEntry) bool {
	return e.Message == m.id && e.Receipt() == (m.direction == store.In)
}

// seal makes the batch that continues our journal with entries: their hashes, and the
// signed checkpoint over everything up to the last.
func (l *line) seal(read tlog.HashReader, newest store.Checkpoint, hashes int64, entries []store.JournalEntry) (store.JournalBatch, error) {
	identity := l.engine.cfg.Identity()
	chain, key, err := ourKey(identity)
	if err != nil {
		return store.JournalBatch{}, err
	}
	leaves := make([]tlog.Hash, len(entries))
	for i, e := range entries {
		leaves[i] = journal.LeafHash(journal.Kind(e.Kind), e.Body)
	}
	tree, added, err := journal.Grow(treeOf(newest), leaves, read)
	if err != nil {
		return store.JournalBatch{}, err
	}
	signed, err := journal.Seal(journal.Checkpoint{Origin: l.origin(identity), Tree: tree}, key)
	if err != nil {
		return store.JournalBatch{}, err
	}
	b := store.JournalBatch{
		First: newest.Size, Entries: entries, FirstHash: hashes, Hashes: make([]store.Hash, len(added)),
		Checkpoint: store.Checkpoint{Size: tree.N, Root: store.Hash(tree.Hash), Signed: signed, Chain: joined(chain)},
	}
	for i, h := range added {
		b.Hashes[i] = store.Hash(h.Hash)
	}
	return b, nil
}

// grown notes the newest checkpoint of our journal.
func (l *line) grown(c store.Checkpoint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.Size > l.newestOwn.Size {
		l.newestOwn = c
	}
}

// own returns the newest checkpoint of our journal, or one that covers so many entries.
func (l *line) own(ctx context.Context, covers int64) (store.Checkpoint, error) {
	known := l.knownOwn()
	if known.Size > 0 && known.Size >= covers {
		return known, nil
	}
	var c store.Checkpoint
	err := l.engine.cfg.Store.GlanceLine(ctx, l.trustDomain, func(r store.LineReader) (err error) {
		if c, _, err = r.Journal(); err != nil {
			return err
		}
		return l.compareOwn(r, c, known)
	})
	if err != nil {
		return c, fmt.Errorf("reading the journal: %w", err)
	}
	l.grown(c)
	return c, nil
}

func treeOf(c store.Checkpoint) tlog.Tree { return tlog.Tree{N: c.Size, Hash: tlog.Hash(c.Root)} }

// enqueued stores a message of ours, what compose makes of p, and enters its payload. What compose refuses, or what
// conflicts with what is stored, leaves other changes alone.
func enqueued(tx store.LineTx, p *Payload, compose func(serial int64) (store.Message, error), into *store.Message) ([]store.JournalEntry, error) {
	var refused error
	m, err := tx.Enqueue(func(serial int64) (m store.Message, err error) {
		m, refused = compose(serial)
		return m, refused
	})
	if err != nil {
		return nil, ofOne(err, refused != nil)
	}
	if err := noteExerciseOf(tx, p); err != nil {
		return nil, err
	}
	*into = m
	return []store.JournalEntry{{Kind: string(journal.Message), Message: m.ID, Body: m.Payload}}, nil
}
