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

// Acquire implements store.Leases.
func (s *Store) Acquire(ctx context.Context, name, holder string, ttl time.Duration) (store.Lease, bool, error) {
	const doing = "taking a lease"
	if err := checkLease(name, holder, ttl); err != nil {
		return store.Lease{}, false, fmt.Errorf("%s: %w", doing, err)
	}
	var token int64
	held := true
	err := s.change(ctx, s.urgent, doing, func(ctx context.Context, tx pgx.Tx) error {
		// One that has ended goes on only when no change under it is under way; see fenced. What
		// had not ended by then is not taken below.
		var now, ended int64
		err := tx.QueryRow(ctx, `WITH clock AS MATERIALIZED (SELECT coalesce($2::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) AS now),
			ended AS (SELECT 1 FROM clock CROSS JOIN leases l WHERE l.name = $1 AND l.expires <= clock.now FOR UPDATE OF l)
			SELECT now, (SELECT count(*) FROM ended) FROM clock`, name, s.ownNow()).Scan(&now, &ended)
		if err != nil {
			return err
		}
		// One statement: two that ask at once do so one after the other, and the second is refused.
		err = tx.QueryRow(ctx, `WITH clock AS (SELECT coalesce($4::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) AS now)
			INSERT INTO leases AS l (name, holder, token, expires) SELECT $1, $2, 1, now + $3 FROM clock
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires = excluded.expires,
				token = l.token + CASE WHEN l.holder = excluded.holder AND l.expires > $5 THEN 0 ELSE 1 END
			WHERE l.holder = excluded.holder OR l.expires <= $5
			RETURNING token`, name, holder, ttl.Microseconds(), s.ownNow(), now).Scan(&token)
		if errors.Is(err, pgx.ErrNoRows) {
			held, err = false, nil
		}
		return err
	})
	if err != nil {
		return store.Lease{}, false, err
	}
	return store.Lease{Name: name, Token: token}, held, nil
}

func checkLease(name, holder string, ttl time.Duration) error {
	if name == "" || holder == "" || len(name) > store.MaxLeaseName || len(holder) > store.MaxLeaseName || ttl < time.Microsecond {
		return errors.New("its name, its holder or its time is not within bounds")
	}
	return nil
}

// ownNow is the time of a clock that was given; nil lets the server use its own.
func (s *Store) ownNow() *int64 {
	if !s.own {
		return nil
	}
	us := s.now().UnixMicro()
	return &us
}

// Release implements store.Leases.
func (s *Store) Release(ctx context.Context, name, holder string) error {
	return s.change(ctx, s.urgent, "giving back a lease", func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE leases SET expires = 0 WHERE name = $1 AND holder = $2", name, holder)
		return err
	})
}

// Note implements store.Leases.
func (s *Store) Note(ctx context.Context, l store.Lease, note []byte) error {
	const doing = "leaving a note"
	if len(note) == 0 || len(note) > store.MaxLeaseNote {
		return fmt.Errorf("%s: %d bytes are not within 1 to %d", doing, len(note), store.MaxLeaseNote)
	}
	return s.change(ctx, s.urgent, doing, func(ctx context.Context, tx pgx.Tx) error {
		done, err := tx.Exec(ctx, "UPDATE leases SET note = $3 WHERE name = $1 AND token = $2", l.Name, l.Token, note)
		if err != nil {
			return err
		}
		if done.RowsAffected() == 0 {
			return store.ErrFenced
		}
		return s.announce(ctx, tx, store.NotesTopic)
	})
}

// Notes implements store.Leases.
func (s *Store) Notes(ctx context.Context, prefix string) (map[string][]byte, error) {
	notes := map[string][]byte{}
	err := s.look(ctx, s.urgent, "reading notes", func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "SELECT name, note FROM leases WHERE starts_with(name, $1) AND note IS NOT NULL ORDER BY name LIMIT $2", prefix, store.MaxRecords)
		if err != nil {
			return err
		}
		var name string
		var note []byte
		_, err = pgx.ForEachRow(rows, []any{&name, &note}, func() error {
			notes[name], note = note, nil // the next row gets memory of its own
			return nil
		})
		return err
	})
	return notes, err
}

// fenced refuses a change under a lease that went to another holder. The row stays
// locked until the change is committed, so it goes to nobody meanwhile. Its holder can
// renew it: a change that waits long for others must not cost the lease it is made under.
func fenced(ctx context.Context, tx pgx.Tx) error {
	l, ok := store.LeaseOf(ctx)
	if !ok {
		return nil
	}
	var one int
	err := tx.QueryRow(ctx, "SELECT 1 FROM leases WHERE name = $1 AND token = $2 FOR KEY SHARE", l.Name, l.Token).Scan(&one)
	if errors.Is(err, pgx.ErrNoRows) {
		return store.ErrFenced
	}
	return err
}
