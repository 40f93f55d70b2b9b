// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"

	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/sqlite"
)

// faultyStore is a store whose calls can fail and lose, or fail and persist.
type faultyStore struct {
	Store
	nation *nation
	life   *life
}

// ChangeLine judges what is done to the line. A change that lies is committed, and
// looks as if it were not.
func (s *faultyStore) ChangeLine(ctx context.Context, peer string, change func(store.LineTx) error) error {
	if s.life.unflushed.Load() {
		return sqlite.ErrUnflushed
	}
	return do(s.nation, s.life, "commit", func() error { return s.changeLine(ctx, peer, change) })
}

func (s *faultyStore) changeLine(ctx context.Context, peer string, change func(store.LineTx) error) error {
	lied := false
	tx := &faultyTx{s: s, lied: &lied, untold: s.life.untold.Swap(false)}
	err := s.Store.ChangeLine(ctx, peer, func(really store.LineTx) error {
		tx.LineTx = really
		return change(tx)
	})
	switch {
	case err != nil:
		return err
	case s.life.unflushed.Load():
		return sqlite.ErrUnflushed
	case lied, tx.untold:
		return errDead
	}
	s.nation.looked(tx.looked)
	if tx.moved > 0 {
		s.nation.moved(tx.moved, tx.movedBytes)
	}
	return nil
}

// ReadLine shows nothing once a sync has failed.
func (s *faultyStore) ReadLine(ctx context.Context, peer string, read func(store.LineReader) error) error {
	if s.life.unflushed.Load() {
		return sqlite.ErrUnflushed
	}
	return s.Store.ReadLine(ctx, peer, func(r store.LineReader) error {
		seen := &placesReader{LineReader: r, s: s}
		defer func() { s.nation.looked(seen.rows) }()
		return read(seen)
	})
}

// placesReader counts the places that one read looks at.
type placesReader struct {
	store.LineReader
	s    *faultyStore
	rows int
}

func (r *placesReader) PlacedAfter(serial int64, limit int) (list []store.Placed, err error) {
	err = do(r.s.nation, r.s.life, "Placed", func() (err error) {
		list, err = r.LineReader.PlacedAfter(serial, limit)
		return err
	})
	r.rows += len(list)
	return list, err
}

// ListMessages fails while the disk cannot be read.
func (s *faultyStore) ListMessages(ctx context.Context, q store.MessageQuery) (store.MessagePage, error) {
	if s.life.unreadable.Load() {
		return store.MessagePage{}, errDead
	}
	return s.Store.ListMessages(ctx, q)
}

// GlanceLine shows what is written; after a sync that failed the relay ends.
func (s *faultyStore) GlanceLine(ctx context.Context, peer string, read func(store.LineReader) error) error {
	if s.life.unflushed.Load() {
		return sqlite.ErrUnflushed
	}
	if s.life.unsynced.Load() {
		return errUnsynced
	}
	return s.Store.GlanceLine(ctx, peer, read)
}

type faultyTx struct {
	store.LineTx
	s    *faultyStore
	lied *bool
	// untold: nobody is told that it was written.
	untold bool
	// moved messages got another serial, with so many bytes.
	moved, movedBytes int
	// looked at so many places.
	looked int
}

// PlacedAfter counts what one transaction looks at.
func (t *faultyTx) PlacedAfter(serial int64, limit int) ([]store.Placed, error) {
	list, err := t.LineTx.PlacedAfter(serial, limit)
	t.looked += len(list)
	return list, err
}

// PlacedBefore counts like PlacedAfter.
func (t *faultyTx) PlacedBefore(serial int64, limit int) ([]store.Placed, error) {
	list, err := t.LineTx.PlacedBefore(serial, limit)
	t.looked += len(list)
	return list, err
}

// Written implements store.LineTx.
func (t *faultyTx) Written(f func()) {
	if !t.untold {
		t.LineTx.Written(f)
	}
}

// Move counts what one transaction moves.
func (t *faultyTx) Move(id string, serial int64, compose func(old store.Message, serial int64) (store.Message, error)) (store.Message, error) {
	m, err := t.LineTx.Move(id, serial, compose)
	if err == nil {
		t.moved, t.movedBytes = t.moved+1, t.movedBytes+len(m.Payload)
	}
	return m, err
}

// do makes a step that lies go on until the commit.
func (t *faultyTx) do(what string, op func() error) error {
	done := false
	err := do(t.s.nation, t.s.life, what, func() error {
		err := op()
		done = err == nil
		return err
	})
	if done {
		*t.lied = *t.lied || err != nil
		return nil
	}
	return err
}

func (t *faultyTx) Enqueue(compose func(int64) (store.Message, error)) (m store.Message, err error) {
	err = t.do("Enqueue", func() (err error) {
		m, err = t.LineTx.Enqueue(compose)
		return err
	})
	return m, err
}

func (t *faultyTx) Accept(in store.Message) (m store.Message, duplicate bool, err error) {
	err = t.do("Accept", func() (err error) {
		m, duplicate, err = t.LineTx.Accept(in)
		return err
	})
	return m, duplicate, err
}

func (t *faultyTx) Append(b store.JournalBatch) error {
	return t.do("Append", func() error { return t.LineTx.Append(b) })
}

func (t *faultyTx) PutReceipts(receipts ...store.Receipt) error {
	return t.do("PutReceipts", func() error { return t.LineTx.PutReceipts(receipts...) })
}

func (s *faultyStore) Pending(ctx context.Context, peer string, limit int, without ...string) (all []store.Message, err error) {
	if s.life.unflushed.Load() {
		return nil, sqlite.ErrUnflushed
	}
	err = do(s.nation, s.life, "Pending", func() (err error) {
		all, err = s.Store.Pending(ctx, peer, limit, without...)
		return err
	})
	return all, err
}
