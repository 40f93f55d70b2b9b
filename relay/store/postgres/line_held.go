// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"errors"

	"github.com/jackc/pgx/v5"
)

// PeerHeld implements store.LineReader.
func (r *lineReader) PeerHeld() (size int64, err error) {
	err = r.tx.QueryRow(r.ctx, "SELECT size FROM peer_held WHERE peer = $1", r.peer).Scan(&size)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return size, err
}

// NotePeerHeld implements store.LineTx.
func (l *lineTx) NotePeerHeld(size int64) error {
	_, err := l.tx.Exec(l.ctx, "INSERT INTO peer_held (peer, size) VALUES ($1, $2) ON CONFLICT (peer) DO UPDATE SET size = excluded.size",
		l.peer, size)
	return err
}
