// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
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

// insert is ExecContext for values that the driver takes as they are: int64, string, bytes or nil. database/sql would look at
// each of them and convert it, which is a part of what a row costs that counts.
func (d direct) insert(ctx context.Context, query string, values []any) error {
	if d.l.collected.failed != nil {
		return d.l.collected.failed
	}
	args := d.l.s.bound[:0]
	for i, v := range values {
		args = append(args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	d.l.collected.failed = d.tx.conn.Raw(func(c any) error {
		of, ok := c.(driver.ExecerContext)
		if !ok {
			return fmt.Errorf("a connection of the driver, %T, takes no statements", c)
		}
		_, err := of.ExecContext(ctx, query, args)
		return err
	})
	clear(args) // what was stored is not kept for the next
	d.l.s.bound = args
	return d.l.collected.failed
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

// collected is what a transaction has yet to write: rows of messages, ours and received ones, one after the other, and
// then those of the queue.
type collected struct {
	out, in []any
	queue   []queueRow
	// failed is why nothing more can be done.
	failed error
}

// write writes what was collected; the transaction may go on after it.
func (l *lineTx) write() error {
	c := &l.collected
	if c.failed != nil || len(c.out) == 0 && len(c.in) == 0 && len(c.queue) == 0 {
		return c.failed
	}
	out, in, queue := c.out, c.in, c.queue
	c.out, c.in, c.queue = nil, nil, nil
	if c.failed = l.insertRows(insertOuts, outColumns, out); c.failed != nil {
		return c.failed
	}
	if c.failed = l.insertRows(insertIns, inColumns, in); c.failed != nil {
		return c.failed
	}
	values := make([]any, 0, queueColumns*len(queue))
	for _, r := range queue {
		l.state.place(r.id, r.place)
		values = append(values, l.peer, int64(r.place.urgency), r.place.serial, r.place.pos, r.talk)
	}
	c.failed = l.insertRows(insertQueued, queueColumns, values)
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
