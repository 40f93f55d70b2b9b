// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/store"
)

const (
	// maxBatch is the largest number of changes that share a transaction.
	maxBatch = 256
	// commitTimeout bounds a transaction, however long its callers would wait.
	commitTimeout = 30 * time.Second

	// manyCallers are so many that the next transaction waits for those whom the last one
	// answered, as they usually come again at once: at most gatherPart of the time that the
	// last one took, and gatherMost. Without that they fall into groups whose transactions
	// take turns, and each transaction costs as much as many messages.
	manyCallers = 4
	gatherPart  = 4
	gatherMost  = 2 * time.Millisecond
)

// errUnfinished: a transaction ended without saying how.
var errUnfinished = errors.New("storing: the transaction did not end")

// change is what one caller wants done to a line. It returns the entry of our journal
// that goes with it, or nil when nothing is new. It may run in one transaction with others.
type change func(tx store.LineTx) (*store.JournalEntry, error)

// changes is a change with any number of entries; no act has more than a few.
type changes func(tx store.LineTx) ([]store.JournalEntry, error)

// ownError is an error of one change, after which the others of its transaction go on:
// nothing of that change was done.
type ownError struct{ err error }

func (e *ownError) Error() string { return e.err.Error() }
func (e *ownError) Unwrap() error { return e.err }

// waiting is a change whose caller waits.
type waiting struct {
	do  changes
	err error // set before turn gets false
	// cost is how much of a batch the change takes, at most maxBatch; zero counts as 1, and
	// less as nothing.
	cost int
	// urgent changes share transactions with each other alone: they wait for no other change of
	// their line, nor for the disk to sync it, only for the store's writer.
	urgent bool
	// written is called, where it is set, when the change is written, while the disk syncs it. It must not block, and
	// what comes of it must reach nobody before the commit has returned nil.
	written func()
	// turn gets true when the caller is to run the next transaction, and false when its
	// change was made or refused.
	turn chan bool
}

func (w *waiting) takes() int {
	switch {
	case w.cost < 0:
		return 0
	case w.cost == 0:
		return 1
	}
	return w.cost
}

// committer lets concurrent changes of a line share transactions. The first caller runs
// one for all that wait, then hands on to the first that came meanwhile; no goroutine of
// its own is needed. The zero value is ready.
type committer struct {
	mu    sync.Mutex // guards what follows
	busy  bool
	queue []*waiting
	// expected is how many changes the next transaction may find, if those whom the last one
	// answered come again by the time until; full gets closed when so many wait.
	expected int
	until    time.Time
	full     chan struct{}
}

// commit makes a change with others in one run of store and returns when it is stored or
// refused. A caller whose ctx ends leaves the queue; a change that a transaction has
// taken is waited for, so that the answer is true.
func (c *committer) commit(ctx context.Context, do changes, run func(ctx context.Context, batch []*waiting) error) error {
	return c.commitOf(ctx, &waiting{do: do}, run)
}

// commitOf is commit with a cost and an urgency.
func (c *committer) commitOf(ctx context.Context, w *waiting, run func(ctx context.Context, batch []*waiting) error) error {
	w.turn = make(chan bool, 1)
	if c.enter(w) {
		select {
		case lead := <-w.turn:
			if !lead {
				return w.err
			}
		case <-ctx.Done():
			if c.leave(w) {
				return ctx.Err()
			}
			if lead := <-w.turn; !lead {
				return w.err
			}
		}
	}
	c.lead(ctx, w, run)
	return w.err
}

// enter tells whether the caller has to wait for its turn.
func (c *committer) enter(w *waiting) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy {
		c.queue = append(c.queue, w)
		if c.full != nil && c.gathered() {
			close(c.full)
			c.full = nil
		}
		return true
	}
	c.busy = true
	return false
}

// leave takes a change out of the queue; false if it is not there any more.
func (c *committer) leave(w *waiting) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, queued := range c.queue {
		if queued == w {
			c.queue = append(c.queue[:i:i], c.queue[i+1:]...)
			return true
		}
	}
	return false
}

// gathered tells whether nobody is to be waited for. The caller holds c.mu, and leads.
func (c *committer) gathered() bool {
	return c.expected < manyCallers || 1+len(c.queue) >= min(c.expected, maxBatch)
}

// gather waits a moment for callers who are expected. What is urgent does not wait.
func (c *committer) gather(w *waiting) {
	c.mu.Lock()
	left := time.Until(c.until)
	if w.urgent || left <= 0 || c.gathered() {
		c.mu.Unlock()
		return
	}
	full := make(chan struct{})
	c.full = full
	c.mu.Unlock()
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-full:
	case <-timer.C:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.full = nil
}

// lead runs one transaction for w and those that wait, and hands on.
func (c *committer) lead(ctx context.Context, w *waiting, run func(ctx context.Context, batch []*waiting) error) {
	c.gather(w)
	c.mu.Lock()
	n, cost := 0, w.takes()
	for n < len(c.queue) && cost+c.queue[n].takes() <= maxBatch {
		cost += c.queue[n].takes()
		n++
	}
	batch := append([]*waiting{w}, c.queue[:n]...)
	c.queue = append([]*waiting(nil), c.queue[n:]...)
	c.mu.Unlock()
	begun, err := time.Now(), errUnfinished
	defer func() { // also when run panics: the others must not wait for ever
		c.expect(len(batch), time.Since(begun))
		for i, b := range batch {
			if err != nil {
				b.err = err
			}
			if i > 0 {
				b.turn <- false
			}
		}
		c.next()
	}()
	// The change of one is that of all: whoever goes away does not undo it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	err = run(ctx, batch)
}

// expect notes a transaction that ended.
func (c *committer) expect(answered int, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expected = answered + len(c.queue)
	c.until = time.Now().Add(min(took/gatherPart, gatherMost))
}

// next gives the turn to the first that waits.
func (c *committer) next() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		c.busy = false
		return
	}
	first := c.queue[0]
	c.queue = c.queue[1:]
	first.turn <- true
}
