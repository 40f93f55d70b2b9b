// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package deliver

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/lease"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

// errAgain has what was refused tried once more.
var errAgain = errors.New("the other side refuses objects")

// target is the other side of a delivery. One goroutine uses it.
type target interface {
	// begin comes before a batch of so many objects, which send gets whole or in parts.
	begin(objects int)
	// send hands a batch over. Without an error it was taken, but for the records of
	// refused, by index, with the reason. An error says that some of it may not have been.
	send(ctx context.Context, b batch, now time.Time) (refused map[int]string, err error)
	// verdict judges an error after a number of failures in a row.
	verdict(err error, failures int) verdict
	// ended comes behind it. An error says that the other side has not taken any of it in an answer that
	// one can believe, so that what follows is to wait.
	ended() error
	// close gives back connections.
	close()
}

// verdict is what to do after an error.
type verdict int

const (
	// again: the same batch once more, after a pause.
	again verdict = iota
	// smaller: in two halves, and from then on no more at once; one object alone that is too much is a dead letter.
	smaller
	// apart: in two halves, to find the objects at fault; one object alone is a dead letter.
	apart
	// hopeless: the batch is dead.
	hopeless
)

// worker runs one delivery.
type worker struct {
	*Engine
	feed       string
	conf       config.Delivery
	collection string
	// before is the worker that this one replaces; it ends first.
	before *worker
	poke   chan struct{}
	ended  chan struct{} // closed when run has returned

	// The goroutine of run alone uses these.
	to   target
	most int
	// whole counts the batches since most was changed.
	whole int
	told  lease.Told // what it has told the other replicas

	mu     sync.Mutex // guards what follows
	cancel context.CancelFunc
	began  bool
	leads  bool // this replica delivers
	looked bool
	state  store.Delivery
	fault  string
	since  time.Time
	shown  report.Delivery
	at     time.Time // of shown
}

func newWorker(e *Engine, feed string, conf config.Delivery) *worker {
	return &worker{
		Engine: e, feed: feed, conf: conf, collection: e.cfg.Collection(feed), most: batchObjects,
		poke: make(chan struct{}, 1), ended: make(chan struct{}),
	}
}

func (w *worker) key() string { return w.feed + "/" + w.conf.Name }

// follow has this worker begin when the old one has ended: two never run at once.
func (w *worker) follow(old *worker) {
	old.stop()
	w.before = old
}

func (w *worker) begin(cancel context.CancelFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancel, w.began = cancel, true
}

func (w *worker) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cancel != nil {
		w.cancel()
	}
}

// wake ends a pause.
func (w *worker) wake() {
	select {
	case w.poke <- struct{}{}:
	default:
	}
}

func (w *worker) hasBegun() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.began
}

// run delivers until ctx ends, while no other replica of the relay does.
func (w *worker) run(ctx context.Context) {
	defer close(w.ended)
	if old := w.before; old != nil && old.hasBegun() {
		select {
		case <-old.ended:
		case <-ctx.Done():
			return
		}
	}
	w.before = nil
	w.cfg.Lead(ctx, w.lease(), w.deliver)
}

// deliver delivers until ctx ends.
func (w *worker) deliver(ctx context.Context) {
	w.lead(true)
	defer w.lead(false)
	to, err := w.newTarget()
	if err != nil {
		// The configuration was checked: what remains is for a person, who changes it.
		w.note(ctx, err)
		w.tell(ctx)
		<-ctx.Done()
		return
	}
	w.to = to
	defer to.close()
	for failures := 0; ctx.Err() == nil; {
		worked, err := w.round(ctx)
		w.note(ctx, err)
		w.tell(ctx)
		switch {
		case err != nil:
			failures++
			w.rest(ctx, w.cfg.Pause(failures))
		case !worked:
			failures = 0
			w.rest(ctx, w.cfg.Poll)
		default:
			failures = 0
		}
	}
}

// rest waits, or until somebody wakes the worker. It tells whether somebody did.
func (w *worker) rest(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-w.poke:
		return true
	}
	return false
}

// round delivers a batch of what is queued again, and one of what is new. It tells
// whether there was anything. Its errors are those of the store, and of ended.
func (w *worker) round(ctx context.Context) (worked bool, err error) {
	state, err := w.cfg.Store.Delivery(ctx, w.collection, w.conf.Name)
	if err != nil {
		return false, err
	}
	w.know(state)
	var refused error // by ended, of what was queued again: it does not hold up what is new
	if state.Queued > 0 {
		if refused, err = w.repeat(ctx); err != nil {
			return true, err
		}
		worked = true
	}
	b, err := w.next(ctx, state.Position)
	if err != nil || len(b) == 0 {
		return worked, cmp.Or(err, refused)
	}
	dead, ok, vain := w.handOver(ctx, b)
	if !ok {
		return false, ctx.Err()
	}
	step := store.Advance{From: state.Position, To: position(b[len(b)-1]), Delivered: int64(len(b) - len(dead)), Dead: dead}
	if err := w.cfg.Store.AdvanceDelivery(ctx, w.collection, w.conf.Name, step); err != nil {
		// Another relay made the step: look again where the delivery stands.
		if errors.Is(err, store.ErrConflict) {
			return true, nil
		}
		return false, err
	}
	w.count(len(b), dead)
	state.Position, state.Delivered, state.Dead = step.To, state.Delivered+step.Delivered, state.Dead+int64(len(dead))
	w.know(state)
	return true, vain
}

// repeat delivers dead letters that are to be tried again. vain is that of handOver.
func (w *worker) repeat(ctx context.Context) (vain, err error) {
	b, gone, err := w.queued(ctx)
	if err != nil {
		return nil, err
	}
	var dead []store.DeadLetter
	if len(b) > 0 {
		var ok bool
		if dead, ok, vain = w.handOver(ctx, b); !ok {
			return nil, ctx.Err()
		}
	}
	failed := map[int64]bool{}
	for _, l := range dead {
		failed[l.Seq] = true
	}
	taken := gone
	for _, seq := range b.seqs() {
		if !failed[seq] {
			taken = append(taken, seq)
		}
	}
	if err := w.cfg.Store.SettleDeadLetters(ctx, w.collection, w.conf.Name, taken, dead); err != nil {
		return nil, err
	}
	w.count(len(b), dead)
	return vain, nil
}

// growAfter is how many batches are handed over before more objects are tried at once again, where fewer were
// wanted: it may have been for one object.
const growAfter = 16

// handOver hands a batch over. vain is what the other side's ended says.
func (w *worker) handOver(ctx context.Context, b batch) (dead []store.DeadLetter, ok bool, vain error) {
	if w.whole++; w.whole > growAfter {
		w.most, w.whole = min(2*w.most, batchObjects), 0
	}
	w.to.begin(len(b))
	dead, ok = w.hand(ctx, b)
	return dead, ok, w.to.ended()
}

// hand gives a batch to the other side until it has taken it, or what it has not is
// dead. ok is false when ctx ended before.
func (w *worker) hand(ctx context.Context, b batch) (dead []store.DeadLetter, ok bool) {
	for failures, refusals := 0, 0; ; {
		refused, err := w.to.send(ctx, b, w.cfg.Now())
		if ctx.Err() != nil {
			return nil, false
		}
		if err == nil && len(refused) > 0 && refusals < maxRefusals {
			// A server may refuse what it could not store just now: once more, that alone.
			refusals++
			b, err = b.of(refused), errAgain
		}
		if err == nil {
			for i, reason := range refused {
				dead = append(dead, deadLetter(b[i], reason, w.cfg.Now()))
			}
			return dead, true
		}
		what := again
		if !errors.Is(err, errAgain) {
			failures++
			what = w.to.verdict(err, failures)
			w.note(ctx, err)
		}
		switch {
		case (what == smaller || what == apart) && len(b) > 1:
			if what == smaller {
				w.most, w.whole = max(1, min(w.most, len(b)/2)), 0
			}
			return w.halves(ctx, b)
		case what != again:
			return b.dead(why(err), w.cfg.Now()), true
		}
		if w.rest(ctx, max(w.cfg.Pause(max(failures, refusals)), askedFor(err))) {
			failures = min(failures, 1)
		}
		if ctx.Err() != nil {
			return nil, false
		}
	}
}

// maxRefusals is how often refused objects are tried again at once.
const maxRefusals = 2

// of picks records by index, in order.
func (b batch) of(refused map[int]string) batch {
	var list batch
	for i, r := range b {
		if _, ok := refused[i]; ok {
			list = append(list, r)
		}
	}
	return list
}

// halves hands over the two halves of a batch.
func (w *worker) halves(ctx context.Context, b batch) (dead []store.DeadLetter, ok bool) {
	half := len(b) / 2
	first, ok := w.hand(ctx, b[:half])
	if !ok {
		return nil, false
	}
	second, ok := w.hand(ctx, b[half:])
	return append(first, second...), ok
}
