// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

func TestWhatEndedLongAgoIsLetGoOfOnAFullDisk(t *testing.T) { onSmallDisk(t, "forget") }

// forgetOnFullDisk leaves less of the disk than the log needs to let go of it all.
func forgetOnFullDisk(dir string) error {
	ctx := context.Background()
	s, err := openOnSmallDisk(ctx, dir)
	if err != nil {
		return err
	}
	const rows, kinds = 20, 50
	old := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	for n := range rows {
		if err := s.ChangeLine(ctx, "bravo", func(tx store.LineTx) error {
			for kind := range kinds { // those that ended at one time lie all over the table
				if err := tx.PutNotice(store.Notice{
					ID: fmt.Sprint(n, "-", kind), Event: "Received", Message: "m", Notifier: "pager", At: old.Add(time.Duration(kind) * time.Second), SentAt: old, Error: strings.Repeat("x", 500),
				}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	if err := shorten(ctx, s); err != nil {
		return err
	}
	if err := leave(dir, 240<<10); err != nil {
		return err
	}
	for kind := range kinds {
		if gone, err := s.ForgetEnded(ctx, "bravo", old.AddDate(1, 0, 0), rows); err != nil || gone != rows {
			return fmt.Errorf("letting go of %d, %d went: %w", kind, gone, err)
		}
	}
	return s.Close()
}
