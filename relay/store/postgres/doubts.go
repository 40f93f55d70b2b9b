// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"fmt"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// Doubts implements store.DoubtReader.
func (r *lineReader) Doubts() (list []store.Doubt, err error) {
	rows, err := r.tx.Query(r.ctx, "SELECT kind, at, evidence, settled_at, settled_by FROM peer_doubts WHERE peer = $1 ORDER BY at DESC, kind", r.peer)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var d store.Doubt
		var at, settled int64
		var evidence []byte
		if err := rows.Scan(&d.Kind, &at, &evidence, &settled, &d.SettledBy); err != nil {
			return nil, err
		}
		if err := d.DecodeEvidence(evidence); err != nil {
			return nil, err
		}
		if d.At = instant(at); settled != 0 {
			d.SettledAt = instant(settled)
		}
		list = append(list, d)
	}
	return list, rows.Err()
}

// KeepDoubt implements store.DoubtWriter.
func (l *lineTx) KeepDoubt(d store.Doubt) (kept bool, err error) {
	evidence, err := d.EncodeEvidence()
	if err != nil {
		return false, err
	}
	done, err := l.tx.Exec(l.ctx, "INSERT INTO peer_doubts (peer, kind, at, evidence) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
		l.peer, d.Kind, micros(d.At), evidence)
	if err != nil {
		return false, err
	}
	return done.RowsAffected() > 0, nil
}

// SettleDoubt implements store.DoubtWriter.
func (l *lineTx) SettleDoubt(kind string, at time.Time, by string) error {
	done, err := l.tx.Exec(l.ctx, "UPDATE peer_doubts SET settled_at = $3, settled_by = $4 WHERE peer = $1 AND kind = $2 AND settled_at = 0",
		l.peer, kind, micros(at), by)
	if err != nil {
		return err
	}
	if done.RowsAffected() == 0 {
		return fmt.Errorf("settling a doubt about %s: %w", l.peer, store.ErrNotFound)
	}
	_, err = l.tx.Exec(l.ctx, `DELETE FROM peer_doubts WHERE peer = $1 AND settled_at <> 0 AND (kind, at) NOT IN (
		SELECT kind, at FROM peer_doubts WHERE peer = $1 AND settled_at <> 0 ORDER BY at DESC, kind LIMIT $2)`, l.peer, store.MaxDoubts)
	return err
}
