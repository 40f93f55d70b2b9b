// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
)

// storedAttachment is an attachment with the key of its row.
type storedAttachment struct {
	store.Attachment
	row int64
}

const oneAttachment = `SELECT id, size, stored, complete > 0, held > 0, changed_at FROM attachments
	WHERE direction = $1 AND peer = $2 AND sha256 = $3`

// getAttachment reads the state of an attachment; takeAttachment locks it, too.
func getAttachment(ctx context.Context, tx pgx.Tx, k store.AttachmentKey) (storedAttachment, error) {
	return readAttachment(ctx, tx, oneAttachment, k)
}

func takeAttachment(ctx context.Context, tx pgx.Tx, k store.AttachmentKey) (storedAttachment, error) {
	return readAttachment(ctx, tx, oneAttachment+" FOR UPDATE", k)
}

func readAttachment(ctx context.Context, tx pgx.Tx, query string, k store.AttachmentKey) (a storedAttachment, err error) {
	var changed int64
	a.AttachmentKey = k
	err = tx.QueryRow(ctx, query, k.Direction, k.Peer, k.SHA256[:]).
		Scan(&a.row, &a.Size, &a.Stored, &a.Complete, &a.Held, &changed)
	if errors.Is(err, pgx.ErrNoRows) {
		return a, fmt.Errorf("attachment %s: %w", k.Name(), store.ErrNotFound)
	}
	a.ChangedAt = instant(changed)
	return a, err
}

// AppendAttachment implements store.Attachments.
//
// One transaction: a crash before its commit leaves what was stored before; after it, the
// chunk is there, and the same chunk again changes nothing. It locks the attachment alone:
// no message waits for it.
func (s *Store) AppendAttachment(ctx context.Context, k store.AttachmentKey, size, offset int64, chunk []byte, limits store.AttachmentLimits) (store.Attachment, error) {
	const doing = "storing a chunk"
	if err := k.Check(size, offset, len(chunk)); err != nil {
		return store.Attachment{}, fmt.Errorf("%s: %w", doing, err)
	}
	var a storedAttachment
	err := s.change(ctx, s.bulk, doing, func(ctx context.Context, tx pgx.Tx) (err error) {
		a, err = takeAttachment(ctx, tx, k)
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

func (s *Store) beginAttachment(ctx context.Context, tx pgx.Tx, k store.AttachmentKey, size, offset int64, limits store.AttachmentLimits) (a storedAttachment, err error) {
	if offset != 0 {
		return a, fmt.Errorf("attachment %s has not begun: %w", k.Name(), store.ErrHole)
	}
	// One begins after the other, so that they keep the limits together. Another may have begun this one.
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('attachments ' || $1 || ' ' || $2, 0))", string(k.Direction), k.Peer); err != nil {
		return a, err
	}
	if a, err = takeAttachment(ctx, tx, k); !errors.Is(err, store.ErrNotFound) {
		return a, err
	}
	loose, err := looseAttachments(ctx, tx, k.Direction, k.Peer)
	if err != nil {
		return a, err
	}
	if loose.Count >= limits.Count || loose.Bytes+size > limits.Bytes {
		return a, fmt.Errorf("%d attachments of %d bytes are stored that no message names: %w", loose.Count, loose.Bytes, store.ErrQuota)
	}
	a.AttachmentKey, a.Size = k, size
	err = tx.QueryRow(ctx, "INSERT INTO attachments (direction, peer, sha256, size, stored, changed_at) VALUES ($1, $2, $3, $4, 0, $5) RETURNING id",
		k.Direction, k.Peer, k.SHA256[:], size, micros(s.now())).Scan(&a.row)
	return a, err
}

func (s *Store) appendChunk(ctx context.Context, tx pgx.Tx, a *storedAttachment, offset int64, chunk []byte) error {
	switch {
	case a.Complete || offset < a.Stored:
		return nil
	case offset > a.Stored:
		return fmt.Errorf("%d bytes of attachment %s are stored, not %d: %w", a.Stored, a.Name(), offset, store.ErrHole)
	}
	if _, err := tx.Exec(ctx, "INSERT INTO attachment_chunks (attachment, first, content) VALUES ($1, $2, $3)", a.row, offset, chunk); err != nil {
		return err
	}
	now := micros(s.now())
	a.Stored, a.ChangedAt = offset+int64(len(chunk)), instant(now)
	_, err := tx.Exec(ctx, "UPDATE attachments SET stored = $1, changed_at = $2 WHERE id = $3", a.Stored, now, a.row)
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
	err = s.change(ctx, s.bulk, "completing an attachment", func(ctx context.Context, tx pgx.Tx) (err error) {
		if now, err = takeAttachment(ctx, tx, k); err != nil || now.Complete {
			return err
		}
		if sum != k.SHA256 {
			return deleteAttachment(ctx, tx, now.row)
		}
		at := micros(s.now())
		now.Complete, now.ChangedAt = true, instant(at)
		_, err = tx.Exec(ctx, "UPDATE attachments SET complete = 1, changed_at = $1 WHERE id = $2", at, now.row)
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

func deleteAttachment(ctx context.Context, tx pgx.Tx, row int64) error {
	_, err := tx.Exec(ctx, "DELETE FROM attachment_chunks WHERE attachment = $1", row)
	if err == nil {
		_, err = tx.Exec(ctx, "DELETE FROM attachments WHERE id = $1", row)
	}
	return err
}

// GetAttachment implements store.Attachments.
func (s *Store) GetAttachment(ctx context.Context, k store.AttachmentKey) (store.Attachment, error) {
	var a storedAttachment
	err := s.look(ctx, s.bulk, "reading the state of an attachment", func(ctx context.Context, tx pgx.Tx) (err error) {
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
	err = s.look(ctx, s.bulk, "reading an attachment", func(ctx context.Context, tx pgx.Tx) error {
		a, err := getAttachment(ctx, tx, k)
		if err != nil || offset < 0 || offset >= a.Stored {
			return err
		}
		var first int64
		err = tx.QueryRow(ctx, `SELECT first, content FROM attachment_chunks WHERE attachment = $1 AND first <= $2
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
	err = s.look(ctx, s.bulk, "listing queued attachments", func(ctx context.Context, tx pgx.Tx) (err error) {
		rows, err := tx.Query(ctx, queuedAttachments, peer, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
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

const queuedAttachments = `SELECT a.sha256 FROM messages AS m
	JOIN attachment_holders AS h ON h.direction = 'out' AND h.peer = m.peer AND h.holder = m.id
	JOIN attachments AS a ON a.id = h.attachment
	WHERE m.peer = $1 AND m.direction = 'out' AND m.receipt IS NULL ORDER BY m.urgency, m.serial LIMIT $2`

// LooseAttachments implements store.Attachments.
func (s *Store) LooseAttachments(ctx context.Context, d store.Direction, peer string) (l store.AttachmentLimits, err error) {
	err = s.look(ctx, s.bulk, "counting attachments", func(ctx context.Context, tx pgx.Tx) (err error) {
		l, err = looseAttachments(ctx, tx, d, peer)
		return err
	})
	return l, err
}

func looseAttachments(ctx context.Context, tx pgx.Tx, d store.Direction, peer string) (l store.AttachmentLimits, err error) {
	err = tx.QueryRow(ctx, `SELECT count(*), coalesce(sum(size), 0) FROM attachments
		WHERE direction = $1 AND peer = $2 AND held = 0`, d, peer).Scan(&l.Count, &l.Bytes)
	return l, err
}

// SweepAttachments implements store.Attachments. One transaction for each, so that messages
// do not wait for all.
func (s *Store) SweepAttachments(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := checkLimit(limit, store.MaxRecords); err != nil {
		return 0, fmt.Errorf("deleting attachments: %w", err)
	}
	for n := range limit {
		found := false
		err := s.change(ctx, s.bulk, "deleting an attachment", func(ctx context.Context, tx pgx.Tx) error {
			var row int64
			err := tx.QueryRow(ctx, `SELECT id FROM attachments
				WHERE held = 0 AND changed_at < $1 ORDER BY changed_at LIMIT 1 FOR UPDATE`, micros(before)).Scan(&row)
			if errors.Is(err, pgx.ErrNoRows) {
				return nil
			}
			found = true
			return errors.Join(err, deleteAttachment(ctx, tx, row))
		})
		if err != nil || !found {
			return n, err
		}
	}
	return limit, nil
}
