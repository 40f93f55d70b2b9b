// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
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

// announce tells all replicas of a change with its commit: a crash after it leaves nobody who has not heard. The server takes
// a lock for it, one for all that announce something, and lets go of it when the commit is on its disk: this is for
// what is small, as messages are. What feeds change is told by tellOfObjects.
func (s *Store) announce(ctx context.Context, tx pgx.Tx, topic string) error {
	_, err := tx.Exec(ctx, "SELECT pg_notify($1, $2)", s.channel(), topic)
	return err
}

// objectsChanged is the key, in the context of a change of feeds, of whether objects were stored or deleted, or decisions
// taken back.
type objectsChanged struct{}

// noteObjects has all replicas told, once a change of feeds is committed, that it changed objects.
func noteObjects(ctx context.Context) {
	if changed, ok := ctx.Value(objectsChanged{}).(*bool); ok {
		*changed = true
	}
}

// tellOfObjects tells all replicas that objects have changed, in a transaction that has nothing to write to the disk: with
// the commit of a page of 10,000 objects all messages would wait until that is on the disk. A crash, or a failure,
// before it leaves replicas that hear nothing: they look every half minute.
func (s *Store) tellOfObjects(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
	defer cancel()
	_, _ = s.bulk.Exec(ctx, "SELECT pg_notify($1, $2)", s.channel(), store.ObjectsTopic)
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
