// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// emptied is a store on a small disk whose file has free pages only: what filled it is deleted.
func emptied(ctx context.Context, dir string) (*filler, error) {
	s, err := openOnSmallDisk(ctx, dir)
	if err != nil {
		return nil, err
	}
	f := &filler{ctx: ctx, s: s, dir: dir}
	for f.put < 20 {
		if err := errors.Join(f.putBatch(), shorten(ctx, s)); err != nil {
			return nil, err
		}
	}
	for i := range f.put * 10 {
		_, err := s.DeleteObjects(ctx, "c", store.Query{IDs: []string{fmt.Sprintf("x--%d-%d", i/10, i%10)}, Limit: 1})
		if err := errors.Join(err, shorten(ctx, s)); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// shorten carries the log into the database, and gives its room back to the disk.
func shorten(ctx context.Context, s *Store) error {
	_, err := s.carry.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return err
}

func TestWhatRetentionFreedInsideTheFileIsRoom(t *testing.T) { onSmallDisk(t, "vacant") }

// useVacantPages leaves less of the disk than the reserve of 256 KiB, and then less than half of it.
func useVacantPages(dir string) error {
	ctx := context.Background()
	f, err := emptied(ctx, dir)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		free uint64
		want error
	}{{240 << 10, nil}, {150 << 10, store.ErrFull}} {
		if err := leave(dir, step.free); err != nil {
			return err
		}
		if err := f.putBatch(); !errors.Is(err, step.want) {
			return fmt.Errorf("with %d bytes free and %d in the file: %w, want %w", step.free, f.s.vacant(), err, step.want)
		}
		if err := shorten(ctx, f.s); err != nil {
			return err
		}
	}
	return f.s.Close()
}

func TestMessagesGoOnWhereOthersHaveTakenTheLastBytesOfTheDisk(t *testing.T) {
	onSmallDisk(t, "foreign")
}

func TestMessagesGoOnOnAFullDiskWhileOthersRead(t *testing.T) { onSmallDisk(t, "foreignread") }

// exchangeOnFullDisk has somebody else fill the disk while the log is as long as what it holds.
func exchangeOnFullDisk(dir string, beside func(s *Store, f func() error) error) error {
	ctx := context.Background()
	f, err := emptied(ctx, dir)
	if err != nil {
		return err
	}
	for range 10 {
		if err := f.send(); err != nil {
			return err
		}
	}
	if err := fill(filepath.Join(dir, "foreign")); err != nil {
		return err
	}
	// More than the log has room for, and less than the free pages of the file.
	for i := range 150 {
		if err := beside(f.s, f.send); err != nil {
			return fmt.Errorf("message %d on a full disk: %w", i, err)
		}
		if err := beside(f.s, func() error {
			return f.s.ChangeLine(ctx, "bravo", func(tx store.LineTx) error {
				return tx.PutReceipts(store.Receipt{ID: fmt.Sprint(i + 1), Body: []byte("receipt"), At: f.s.now()})
			})
		}); err != nil {
			return fmt.Errorf("receipt %d on a full disk: %w", i, err)
		}
	}
	return f.s.Close()
}

func besideNothing(_ *Store, f func() error) error { return f() }

// besideReader does what needs the turn while a reader is at what was stored before it, until the turn is taken.
func besideReader(s *Store, f func() error) error {
	tx, err := s.read.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	var messages int
	if err := tx.QueryRowContext(context.Background(), "SELECT count(*) FROM messages").Scan(&messages); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	done := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		for taken := false; !taken; {
			select {
			case <-done:
				taken = true
			case <-time.After(time.Millisecond):
				s.turns.mu.Lock()
				taken = s.turns.taken
				s.turns.mu.Unlock()
			}
		}
		err = tx.Rollback()
	})
	changed := f()
	close(done)
	reader.Wait()
	return errors.Join(changed, err)
}
