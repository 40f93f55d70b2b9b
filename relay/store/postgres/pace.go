// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
)

// paced is the number of objects at once while messages are exchanged, and pacedFor how long after the last of them.
// Messages wait for no feed's turn here, but each commit waits until all that the server has written before it is on
// the disk, which of a page of 10,000 objects is a dozen megabytes; of 500 it is half of one, and fewer only make the import slower
// (docs/design/003-postgres.md).
const (
	paced    = 500
	pacedFor = 10 * time.Second
)

// Pace implements store.Pacer. Messages and receipts that this replica has stored count, and messages of others as soon as
// it puts objects.
func (s *Store) Pace() int {
	if at := s.exchanged.Load(); at != nil && time.Since(*at) < pacedFor {
		return paced
	}
	return store.MaxRecords
}

// exchange notes that a message, or a receipt, is being stored.
func (s *Store) exchange() {
	now := time.Now()
	s.exchanged.Store(&now)
}

// lookForMessages notes whether a message was stored since the last look, by whatever replica: no clocks are compared.
// The caller has the turn.
func (s *Store) lookForMessages(ctx context.Context, tx pgx.Tx) error {
	var newest int64
	err := tx.QueryRow(ctx, "SELECT pos FROM messages ORDER BY pos DESC LIMIT 1").Scan(&newest)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	if s.looked && newest != s.newest {
		s.exchange()
	}
	s.looked, s.newest = true, newest
	return nil
}
