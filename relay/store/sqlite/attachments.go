// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// storedAttachment is an attachment with the key of its row.
type storedAttachment struct {
	store.Attachment
	row int64
}

func getAttachment(ctx context.Context, tx querier, k store.AttachmentKey) (a storedAttachment, err error) {
	var changed int64
	a.AttachmentKey = k
	err = tx.QueryRowContext(ctx, `SELECT id, size, stored, complete > 0, held > 0, changed_at FROM attachments
		WHERE direction = ? AND peer = ? AND sha256 = ?`, k.Direction, k.Peer, k.SHA256[:]).
		Scan(&a.row, &a.Size, &a.Stored, &a.Complete, &a.Held, &changed)
	if errors.Is(err, sql.ErrNoRows) {
		return a, fmt.Errorf("attachment %s: %w", k.Name(), store.ErrNotFound)
	}
	a.ChangedAt = instant(changed)
	return a, err
}

// AppendAttachment implements store.Attachments.
//
// One transaction: a crash before its commit leaves what was stored before; after it, the
// chunk is there, and the same chunk again changes nothing. It goes in the lane of feeds:
// a message waits for one chunk at most. Files leave the room that is kept for messages.
func (s *Store) AppendAttachment(ctx context.Context, k store.AttachmentKey, size, offset int64, chunk []byte, limits store.AttachmentLimits) (store.Attachment, error) {
	const doing = "storing a chunk"
	if err := k.Check(size, offset, len(chunk)); err != nil {
		return store.Attachment{}, fmt.Errorf("%s: %w", doing, err)
	}
	if err := s.keepReserve(1, usualWrite+int64(len(chunk))); err != nil {
		return store.Attachment{}, fmt.Errorf("%s: %w", doing, err)
	}
	s.checkpoints.wrote(int64(len(chunk)))
	var a storedAttachment
	err := s.change(ctx, feed, doing, func(tx *transaction) (err error) {
		a, err = getAttachment(ctx, tx, k)
		if errors.Is(err, store.ErrNotFound) {
			a, err = s.beginAttachment(ctx, tx, k, size, offset, limits)
		}
		if err != nil {
			return err
		}
		if a.Size != size {
			return fmt.Errorf("attachment %s has %d bytes, not %d: %w", k.Name(), a.Size, size, store.ErrConflict)
		}
		return s.appendChunk(ctx, tx, &a, offset, chunk)
	})
	if err != nil {
		return store.Attachment{}, err
	}
	return a.Attachment, nil
}

func (s *Store) beginAttachment(ctx context.Context, tx *transaction, k store.AttachmentKey, size, offset int64, limits store.AttachmentLimits) (a storedAttachment, err error) {
	if offset != 0 {
		return a, fmt.Errorf("attachment %s has not begun: %w", k.Name(), store.ErrHole)
	}
	loose, err := looseAttachments(ctx, tx, k.Direction, k.Peer)
	if err != nil {
		return a, err
	}
	if loose.Count >= limits.Count || loose.Bytes+size > limits.Bytes {
		return a, fmt.Errorf("%d attachments of %d bytes are stored that no message names: %w", loose.Count, loose.Bytes, store.ErrQuota)
	}
	a.AttachmentKey, a.Size = k, size
	err = tx.QueryRowContext(ctx, "INSERT INTO attachments (direction, peer, sha256, size, stored, changed_at) VALUES (?, ?, ?, ?, 0, ?) RETURNING id",
		k.Direction, k.Peer, k.SHA256[:], size, micros(s.now())).Scan(&a.row)
	return a, err
}

func (s *Store) appendChunk(ctx context.Context, tx *transaction, a *storedAttachment, offset int64, chunk []byte) error {
	switch {
	case a.Complete || offset < a.Stored:
		return nil
	case offset > a.Stored:
		return fmt.Errorf("%d bytes of attachment %s are stored, not %d: %w", a.Stored, a.Name(), offset, store.ErrHole)
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO attachment_chunks (attachment, first, content) VALUES (?, ?, ?)", a.row, offset, chunk); err != nil {
		return err
	}
	now := micros(s.now())
	a.Stored, a.ChangedAt = offset+int64(len(chunk)), instant(now)
	_, err := tx.ExecContext(ctx, "UPDATE attachments SET stored = ?, changed_at = ? WHERE id = ?", a.Stored, now, a.row)
	return err
}

// CompleteAttachment implements store.Attachments.
//
// The content is read without the writer's turn, and a chunk that is stored stays as it is.
// A crash before the mark leaves all chunks, and the next call reads them again.
func (s *Store) CompleteAttachment(ctx context.Context, k store.AttachmentKey) (store.Attachment, error) {
	a, err := s.GetAttachment(ctx, k)
	if err != nil || a.Complete {
		return a, err
	}
	sum, err := store.SumAttachment(a.Size, func(offset int64) ([]byte, error) { return s.ReadAttachment(ctx, k, offset) })
	if err != nil {
		return store.Attachment{}, fmt.Errorf("completing attachment %s: %w", k.Name(), err)
	}
	var now storedAttachment
	err = s.change(ctx, feed, "completing an attachment", func(tx *transaction) (err error) {
		if now, err = getAttachment(ctx, tx, k); err != nil || now.Complete {
			return err
		}
		if sum != k.SHA256 {
			return deleteAttachment(ctx, tx, now.row)
		}
		at := micros(s.now())
		now.Complete, now.ChangedAt = true, instant(at)
		_, err = tx.ExecContext(ctx, "UPDATE attachments SET complete = 1, changed_at = ? WHERE id = ?", at, now.row)
		return err
	})
	switch {
	case err != nil:
		return store.Attachment{}, err
	case !now.Complete:
		return store.Attachment{}, fmt.Errorf("completing attachment %s: it was deleted: %w", k.Name(), store.ErrDigest)
	}
	return now.Attachment, nil
}

func deleteAttachment(ctx context.Context, tx *transaction, row int64) error {
	_, err := tx.ExecContext(ctx, "DELETE FROM attachment_chunks WHERE attachment = ?", row)
	if err == nil {
		_, err = tx.ExecContext(ctx, "DELETE FROM attachments WHERE id = ?", row)
	}
	return err
}

// GetAttachment implements store.Attachments.
func (s *Store) GetAttachment(ctx context.Context, k store.AttachmentKey) (store.Attachment, error) {
	var a storedAttachment
	err := s.look(ctx, "reading the state of an attachment", func(tx *transaction) (err error) {
		a, err = getAttachment(ctx, tx, k)
		return err
	})
	if err != nil {
		return store.Attachment{}, err
	}
	return a.Attachment, nil
}

// ReadAttachment implements store.Attachments.
func (s *Store) ReadAttachment(ctx context.Context, k store.AttachmentKey, offset int64) (content []byte, err error) {
	err = s.look(ctx, "reading an attachment", func(tx *transaction) error {
		a, err := getAttachment(ctx, tx, k)
		if err != nil || offset < 0 || offset >= a.Stored {
			return err
		}
		var first int64
		err = tx.QueryRowContext(ctx, `SELECT first, content FROM attachment_chunks WHERE attachment = ? AND first <= ?
			ORDER BY first DESC LIMIT 1`, a.row, offset).Scan(&first, &content)
		if err != nil || offset-first >= int64(len(content)) {
			content = nil
			return errors.Join(fmt.Errorf("the chunk at %d of attachment %s is missing", offset, k.Name()), err)
		}
		content = content[offset-first:]
		return nil
	})
	return content, err
}

// QueuedAttachments implements store.Attachments.
func (s *Store) QueuedAttachments(ctx context.Context, peer string, limit int) (list []store.Hash, err error) {
	if err := checkLimit(limit, store.MaxMessages); err != nil {
		return nil, fmt.Errorf("listing queued attachments: %w", err)
	}
	err = s.look(ctx, "listing queued attachments", func(tx *transaction) (err error) {
		rows, err := tx.QueryContext(ctx, queuedAttachments, peer, limit)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			var sum []byte
			if err := rows.Scan(&sum); err != nil {
				return err
			}
			if len(sum) != len(store.Hash{}) {
				return fmt.Errorf("a digest has %d bytes", len(sum))
			}
			list = append(list, store.Hash(sum))
		}
		return rows.Err()
	})
	return list, err
}

const queuedAttachments = `SELECT a.sha256 FROM queued AS q CROSS JOIN messages AS m ON m.pos = q.pos
	CROSS JOIN attachment_holders AS h ON h.direction = 'out' AND h.peer = m.peer AND h.holder = m.id
	CROSS JOIN attachments AS a ON a.id = h.attachment
	WHERE q.peer = ? ORDER BY q.urgency, q.serial LIMIT ?`

// LooseAttachments implements store.Attachments.
func (s *Store) LooseAttachments(ctx context.Context, d store.Direction, peer string) (l store.AttachmentLimits, err error) {
	err = s.look(ctx, "counting attachments", func(tx *transaction) (err error) {
		l, err = looseAttachments(ctx, tx, d, peer)
		return err
	})
	return l, err
}

func looseAttachments(ctx context.Context, tx *transaction, d store.Direction, peer string) (l store.AttachmentLimits, err error) {
	err = tx.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(size), 0) FROM attachments INDEXED BY attachments_loose
		WHERE direction = ? AND peer = ? AND held = 0`, d, peer).Scan(&l.Count, &l.Bytes)
	return l, err
}

// SweepAttachments implements store.Attachments. One transaction for each, so that messages
// do not wait for all.
func (s *Store) SweepAttachments(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := checkLimit(limit, store.MaxRecords); err != nil {
		return 0, fmt.Errorf("deleting attachments: %w", err)
	}
	for n := range limit {
		var found bool
		err := s.makeRoom(ctx, "deleting an attachment", func(tx *transaction) error {
			var row int64
			err := tx.QueryRowContext(ctx, `SELECT id FROM attachments INDEXED BY attachments_old
				WHERE held = 0 AND changed_at < ? ORDER BY changed_at LIMIT 1`, micros(before)).Scan(&row)
			if found = !errors.Is(err, sql.ErrNoRows); !found {
				return nil
			}
			return errors.Join(err, deleteAttachment(ctx, tx, row))
		})
		if err != nil || !found {
			return n, err
		}
	}
	return limit, nil
}
