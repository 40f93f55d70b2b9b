// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

func TestALongReaderOnAFullDiskHoldsUpWritersForATenthOfTheTime(t *testing.T) {
	onSmallDisk(t, "longread")
}

// writeBesideLongReader has somebody read all the time on a full disk. What finds no room in the log says so, soon, for as
// long as that lasts; then messages go on.
func writeBesideLongReader(dir string) error {
	ctx := context.Background()
	f, err := emptied(ctx, dir)
	if err != nil {
		return err
	}
	if err := f.send(); err != nil {
		return err
	}
	if err := fill(filepath.Join(dir, "foreign")); err != nil {
		return err
	}
	tx, err := f.s.read.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	var messages int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM messages").Scan(&messages); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	begun, refused := time.Now(), 0
	for range 40 {
		if err := f.send(); errors.Is(err, store.ErrFull) {
			refused++
		} else if err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	took := time.Since(begun)
	if err := tx.Rollback(); err != nil {
		return err
	}
	if refused == 0 || took > 10*time.Second {
		return fmt.Errorf("%d of 40 messages found no room beside a reader, which took %v", refused, took)
	}
	if err := f.send(); err != nil {
		return fmt.Errorf("when the reader has ended: %w", err)
	}
	return f.s.Close()
}
