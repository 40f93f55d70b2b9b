// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// listenAgain is the pause before a broken connection for news is made anew.
	listenAgain = time.Second
	// listenCheck is how long no news may come before the connection is tried.
	listenCheck = 30 * time.Second
)

// channel is where the replicas tell each other what was stored. Another relay
// in another schema of the database has one of its own.
func (s *Store) channel() string { return "certlink/" + s.id.id }

// announce tells all replicas of a change, once it is committed.
func (s *Store) announce(ctx context.Context, tx pgx.Tx, topic string) error {
	_, err := tx.Exec(ctx, "SELECT pg_notify($1, $2)", s.channel(), topic)
	return err
}

// Watch implements store.News.
func (s *Store) Watch(ctx context.Context, changed func(topic string)) error {
	for ctx.Err() == nil {
		_ = s.listen(ctx, changed) // what was missed meanwhile is told by ""
		pause := time.NewTimer(listenAgain)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
	return nil
}

// listen passes news on until the connection breaks.
func (s *Store) listen(ctx context.Context, changed func(topic string)) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
		defer cancel()
		_ = conn.Close(closing)
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{s.channel()}.Sanitize()); err != nil {
		return err
	}
	changed("")
	for {
		wait, cancel := context.WithTimeout(ctx, listenCheck)
		news, err := conn.WaitForNotification(wait)
		cancel()
		switch {
		case err == nil:
			changed(news.Payload)
		case ctx.Err() != nil || conn.IsClosed():
			return err
		default:
			// Silence: a connection that is cut without a word is found here.
			probe, cancel := context.WithTimeout(ctx, connectTimeout)
			err := conn.Ping(probe)
			cancel()
			if err != nil {
				return err
			}
		}
	}
}
