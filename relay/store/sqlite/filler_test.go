// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/certlink/certlink/relay/store"
)

// filler fills a small disk, checks that nothing is half-stored, and makes room.
type filler struct {
	ctx  context.Context
	s    *Store
	dir  string
	put  int
	sent int64
}

func (f *filler) round(round int) error {
	ballast := filepath.Join(f.dir, fmt.Sprint("ballast", round))
	if err := fill(ballast); err != nil {
		return err
	}
	if err := f.write(); !errors.Is(err, store.ErrFull) {
		return fmt.Errorf("writing to a full disk: %w, want ErrFull", err)
	}
	if err := f.check(); err != nil {
		return fmt.Errorf("with a full disk: %w", err)
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	if err := f.send(); err != nil {
		return fmt.Errorf("after room was made: %w", err)
	}
	if err := f.putBatch(); err != nil {
		return fmt.Errorf("after room was made: %w", err)
	}
	return f.check()
}

// write writes until the disk is full for objects and for messages: the log may
// have some room from before.
func (f *filler) write() error {
	for {
		if err := f.putBatch(); err != nil {
			if !errors.Is(err, store.ErrFull) {
				return err
			}
			break
		}
	}
	for {
		if err := f.send(); err != nil {
			return err
		}
	}
}

func (f *filler) putBatch() error {
	var batch []store.Object
	for j := range 10 {
		batch = append(batch, store.Object{ID: fmt.Sprintf("x--%d-%d", f.put, j), Type: "x", Raw: make([]byte, 3000)})
	}
	if _, err := f.s.PutObjects(f.ctx, "c", batch, fmt.Sprint(f.put+1)); err != nil {
		return err
	}
	f.put++
	return nil
}

func (f *filler) send() error {
	m, err := f.s.Enqueue(f.ctx, "bravo", func(serial int64) (store.Message, error) {
		return store.Message{ID: fmt.Sprint(serial), Payload: make([]byte, 1000)}, nil
	})
	if err != nil {
		return err
	}
	if f.sent++; m.Serial != f.sent {
		return fmt.Errorf("serial %d, want %d", m.Serial, f.sent)
	}
	return nil
}

func (f *filler) check() error {
	page, err := f.s.ListObjects(f.ctx, "c", store.Query{Limit: store.MaxRecords})
	if err != nil {
		return err
	}
	cursor, err := f.s.Cursor(f.ctx, "c")
	if err != nil {
		return err
	}
	counts, err := f.s.CountMessages(f.ctx, "bravo")
	if err != nil {
		return err
	}
	wantCursor := fmt.Sprint(f.put)
	if f.put == 0 {
		wantCursor = ""
	}
	if len(page.Records) != f.put*10 || cursor != wantCursor || counts.Queued != f.sent {
		return fmt.Errorf("%d objects, cursor %q, %d messages; want %d, %q, %d",
			len(page.Records), cursor, counts.Queued, f.put*10, wantCursor, f.sent)
	}
	return nil
}
