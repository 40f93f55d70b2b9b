// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"hash/maphash"

	"github.com/certlink/certlink/relay/store"
)

// idsAfter is how many messages are stored since the start before the filter of their ids begins:
// it is of no use to a line on which little happens.
const idsAfter = 64

// messageID is what names a message.
type messageID struct {
	direction store.Direction
	peer, id  string
}

// ids is a filter over the ids of all stored messages: what it says is new can be stored together
// with others, because no conflict can come of it.
type ids struct {
	*known
	seed maphash.Seed
}

func newIDs() ids { return ids{newKnown(), maphash.MakeSeed()} }

func (k ids) key(m messageID) int64 {
	return int64(maphash.Comparable(k.seed, m)) //nolint:gosec // all bits count, the sign means nothing
}

// news notes a message before it is stored, and tells whether none of its name can be stored yet.
func (k ids) news(m messageID) bool {
	key := k.key(m)
	k.mu.Lock()
	fresh := k.full && !k.holds(key)
	k.mu.Unlock()
	k.add(key)
	return fresh
}

// beginIDs is called at the beginning of a ChangeLine, with the version of the file.
func (s *Store) beginIDs(version int64) {
	k := s.ids.known
	k.mu.Lock()
	defer k.mu.Unlock()
	k.checkVersion(version)
	if k.bits == nil && k.put >= idsAfter {
		k.begin(version, s.readIDs)
	}
}

// readIDs adds the ids that are stored. A failure leaves the filter unused.
func (s *Store) readIDs(ctx context.Context, epoch int) {
	s.ids.readAll(ctx, epoch, s.read, "SELECT direction, peer, id FROM messages", func(rows *sql.Rows) (int64, error) {
		var m messageID
		err := rows.Scan(&m.direction, &m.peer, &m.id)
		return s.ids.key(m), err
	})
}

// querier is what statements run on.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) firstRow
}

// direct runs statements that neither see nor change what is collected. Once a statement that changes something
// has failed none runs any more: SQLite may have undone the transaction, and then whatever
// follows would be a transaction of its own.
type direct struct {
	l  *lineTx
	tx *transaction
}

// ExecContext implements querier.
func (d direct) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if d.l.collected.failed != nil {
		return nil, d.l.collected.failed
	}
	done, err := d.tx.ExecContext(ctx, query, args...)
	d.l.collected.failed = err
	return done, err
}

// QueryContext implements querier.
func (d direct) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if d.l.collected.failed != nil {
		return nil, d.l.collected.failed
	}
	return d.tx.QueryContext(ctx, query, args...)
}

// QueryRowContext implements querier.
func (d direct) QueryRowContext(ctx context.Context, query string, args ...any) firstRow {
	if d.l.collected.failed != nil {
		return firstRow{err: d.l.collected.failed}
	}
	return d.tx.QueryRowContext(ctx, query, args...)
}

// ordered is direct after what the transaction has collected is written, so that statements see it.
type ordered struct{ l *lineTx }

// ExecContext implements querier.
func (o ordered) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if err := o.l.write(); err != nil {
		return nil, err
	}
	return o.l.raw.ExecContext(ctx, query, args...)
}

// QueryContext implements querier.
func (o ordered) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := o.l.write(); err != nil {
		return nil, err
	}
	return o.l.raw.QueryContext(ctx, query, args...)
}

// QueryRowContext implements querier.
func (o ordered) QueryRowContext(ctx context.Context, query string, args ...any) firstRow {
	if err := o.l.write(); err != nil {
		return firstRow{err: err}
	}
	return o.l.raw.QueryRowContext(ctx, query, args...)
}

// collected is what a transaction has yet to write: rows of messages, one after the other, and
// then those of the queue.
type collected struct {
	messages []any
	queue    []queueRow
	// failed is why nothing more can be done.
	failed error
}

// write writes what was collected; the transaction may go on after it.
func (l *lineTx) write() error {
	c := &l.collected
	if c.failed != nil || len(c.messages) == 0 && len(c.queue) == 0 {
		return c.failed
	}
	messages, queue := c.messages, c.queue
	c.messages, c.queue = nil, nil
	if c.failed = l.insertRows(insertMessages, len(messages)/messageColumns, func(args []any, i int) []any {
		return append(args, messages[i*messageColumns:(i+1)*messageColumns]...)
	}); c.failed != nil {
		return c.failed
	}
	for _, r := range queue {
		l.state.place(r.id, r.place)
	}
	c.failed = l.insertRows(insertQueued, len(queue), func(args []any, i int) []any {
		r := &queue[i]
		return append(args, l.peer, r.place.urgency, r.place.serial, r.place.pos, r.talk)
	})
	return c.failed
}

// end is for the end of a transaction of which err came: it writes what was collected. Whatever was made of a
// statement that failed, that is why.
func (l *lineTx) end(err error) error {
	if l.collected.failed != nil {
		return l.collected.failed
	}
	if err != nil {
		return err
	}
	return l.count()
}
