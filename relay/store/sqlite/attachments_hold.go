// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/certlink/certlink/relay/store"
)

// findAttachments returns the rows of what a message names, all of them complete. It
// changes nothing.
func findAttachments(ctx context.Context, tx querier, d store.Direction, peer string, uses []store.AttachmentUse) ([]int64, error) {
	var rows []int64
	for _, u := range uses {
		k := store.AttachmentKey{Direction: d, Peer: peer, SHA256: u.SHA256}
		a, err := getAttachment(ctx, tx, k)
		switch {
		case errors.Is(err, store.ErrNotFound), err == nil && (!a.Complete || a.Size != u.Size):
			return nil, fmt.Errorf("attachment %s of %d bytes: %w", k.Name(), u.Size, store.ErrIncomplete)
		case err != nil:
			return nil, err
		}
		rows = append(rows, a.row)
	}
	return rows, nil
}

// holdAttachments keeps the rows that findAttachments found.
func (s *Store) holdAttachments(ctx context.Context, tx querier, d store.Direction, peer, holder string, rows []int64) error {
	for _, row := range rows {
		done, err := tx.ExecContext(ctx, `INSERT INTO attachment_holders (direction, peer, holder, attachment) VALUES (?, ?, ?, ?)
			ON CONFLICT DO NOTHING`, d, peer, holder, row)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			if err != nil {
				return err
			}
			continue
		}
		if _, err := tx.ExecContext(ctx, "UPDATE attachments SET held = held + 1, changed_at = ? WHERE id = ?", micros(s.now()), row); err != nil {
			return err
		}
	}
	return nil
}

// HoldAttachments implements store.LineTx.
func (l *lineTx) HoldAttachments(d store.Direction, holder string, uses []store.AttachmentUse) error {
	rows, err := findAttachments(l.ctx, l.tx, d, l.peer, uses)
	if err != nil {
		return err
	}
	return l.s.holdAttachments(l.ctx, l.tx, d, l.peer, holder, rows)
}

// DropAttachments implements store.LineTx.
func (l *lineTx) DropAttachments(d store.Direction, holder string) error {
	const held = "SELECT attachment FROM attachment_holders WHERE direction = ? AND peer = ? AND holder = ?"
	if _, err := l.tx.ExecContext(l.ctx, "UPDATE attachments SET held = held - 1, changed_at = ? WHERE id IN ("+held+")",
		micros(l.s.now()), d, l.peer, holder); err != nil {
		return err
	}
	_, err := l.tx.ExecContext(l.ctx, "DELETE FROM attachment_holders WHERE direction = ? AND peer = ? AND holder = ?", d, l.peer, holder)
	return err
}
