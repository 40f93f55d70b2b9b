// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// lane sends one batch at a time. What goes as FLASH has lanes of its own, so that it never
// waits for a batch that is under way.
type lane int

const (
	// usual is the lane of all that is not FLASH. While it has a batch under way and much waits,
	// ahead carries the next; conversations stay in order, as what flies holds back what follows it.
	usual lane = iota
	ahead
	express1
	express2
	lanes
)

func (n lane) express() bool { return n >= express1 }

// flight is a message that is being sent: by which lane, and in which conversation.
type flight struct {
	by           lane
	conversation string
}

// Bounds of a batch. While FLASH was sent lately others are short, so that a transaction of
// theirs at either end does not keep the next FLASH waiting for long.
const (
	maxBatchBytes   = 1 << 20
	maxPacedBytes   = 64 << 10
	maxPacedEntries = 32
	pacedFor        = time.Minute
	// laneRests times as long as a batch took the lane rests after it, while there was FLASH a moment ago: a
	// third of the time stays for what is not.
	laneRests = 2
)

// run delivers until ctx ends.
func (l *line) run(ctx context.Context) {
	l.takeOver()
	defer l.letGo()
	var running sync.WaitGroup
	for n := range lanes {
		running.Go(func() { l.runLane(ctx, n) })
	}
	running.Go(func() { l.verifyDaily(ctx) })
	running.Go(func() { l.forgetDaily(ctx) })
	running.Wait()
}

func (l *line) runLane(ctx context.Context, n lane) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-l.wakes[n]:
		}
		if next := l.round(ctx, n); !next.IsZero() {
			timer.Reset(max(0, next.Sub(l.engine.cfg.Now())))
		} else {
			timer.Stop()
		}
	}
}

// round delivers everything that this lane can deliver now, the most urgent first, looking
// again after each batch. It returns when to look again by itself, zero for never.
func (l *line) round(ctx context.Context, n lane) time.Time {
	if n == usual {
		defer l.countQueued(ctx)
	}
	for ctx.Err() == nil {
		if !n.express() {
			l.engine.cfg.Preempt.GiveWay(ctx)
		}
		list, next, empty, err := l.pickUp(ctx, n)
		switch {
		case err != nil:
			l.settle(ctx, nil, nil, err)
			if n != usual {
				l.poke() // it looks again after this failure, and forgets it if nothing is queued
			}
		case n == usual && l.isLost() && l.mayTry():
			l.land(n, list) // it was lost since they were picked
			if l.isFlying() {
				return time.Time{} // what other lanes carry ends first
			}
			err := l.recover(ctx)
			l.settle(ctx, nil, nil, err)
			if err == nil {
				l.greetAgain()
			}
		case len(list) > 0, n == usual && l.greets():
			l.carry(ctx, n, list)
		default:
			if empty && n == usual {
				l.emptied(ctx)
			}
			return next
		}
	}
	return time.Time{}
}

// carry delivers what was picked for this lane, or greets the peer.
func (l *line) carry(ctx context.Context, n lane, list []store.Message) {
	precedence, begun := "ROUTINE", time.Now()
	if n.express() {
		precedence = "FLASH"
		defer l.engine.cfg.Preempt.Begin()()
	} else {
		defer func() { l.engine.cfg.Preempt.Rest(ctx, time.Since(begun), laneRests) }()
	}
	failed, err := l.deliver(ctx, list, precedence)
	l.settle(ctx, list, failed, err)
	l.land(n, list)
	if n == usual {
		l.countQueued(ctx)
	} else {
		l.poke() // what waited behind these
	}
}

// greets tells whether an empty batch is to be sent, to learn what the peer holds of us.
func (l *line) greets() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.greeted && !l.failure.until.After(l.engine.cfg.Now())
}

// greetAgain tells the peer at once that our journal goes on, also if nothing is queued.
func (l *line) greetAgain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.greeted = false
}

// isFlying tells whether messages are under way.
func (l *line) isFlying() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.flying) > 0
}

func (l *line) mayTry() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.failure.until.After(l.engine.cfg.Now())
}

// pickUp is pick, once it is known whether a recovery comes first.
func (l *line) pickUp(ctx context.Context, n lane) (list []store.Message, next time.Time, empty bool, err error) {
	if err := l.recall(ctx); err != nil {
		return nil, time.Time{}, false, err
	}
	return l.pick(ctx, n)
}

// pick returns the messages that this lane may send now; if there are none, the time from
// which there may be; and whether nothing is queued at all. They fly until land.
func (l *line) pick(ctx context.Context, n lane) (list []store.Message, next time.Time, empty bool, err error) {
	l.mu.Lock()
	until, held, flying := l.failure.until, maps.Clone(l.held), len(l.flying)
	lost := l.health.lost
	if lost {
		l.front.drop() // messages may get other serials
	}
	l.mu.Unlock()
	now := l.engine.cfg.Now()
	switch {
	case n == ahead && (lost || until.After(now)):
		return nil, time.Time{}, false, nil
	case until.After(now):
		return nil, until, false, nil
	case lost:
		return nil, time.Time{}, false, nil
	}
	if !n.express() {
		if list, empty, known := l.fromFront(n, now); known {
			return list, time.Time{}, empty, nil
		}
	}
	// However much waits behind refused messages, it must not hide what is free.
	without := waitingTalks(held, now)
	for limit := looksAt(n, flying); ; limit = store.MaxMessages {
		if n == usual {
			l.beginFront(ctx, len(held))
		}
		pending, err := l.engine.cfg.Store.Pending(ctx, l.trustDomain, limit, without...)
		if err != nil {
			return nil, time.Time{}, false, &localError{doing: "reading the outbox", err: err}
		}
		list, next := l.takeOff(pending, limit, n, now)
		if len(list) > 0 || seen(pending, limit, n) {
			if len(without) > 0 && len(list) == 0 {
				next = earliest(next, held, now)
			}
			return list, next, len(pending) == 0 && len(without) == 0, nil
		}
	}
}

// land notes that messages do not fly any more; an express lane may have taken some over.
func (l *line) land(n lane, list []store.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range list {
		if l.flying[list[i].ID].by == n {
			delete(l.flying, list[i].ID)
		}
	}
}

// holdBack notes which messages failed by themselves, and forgets what those that arrived
// had failed of. It tells whether the peer answered. The caller holds l.mu.
func (l *line) holdBack(list []store.Message, failed map[string]error, err error) (answered bool) {
	now := l.engine.cfg.Now()
	answered, waits := err == nil, map[string]bool{}
	for i := range list {
		m := &list[i]
		of := failed[m.ID]
		if err != nil && isOfMessage(err) && of == nil {
			of = err
			answered = true
		}
		switch {
		case of != nil && waits[m.Conversation]: // the first that failed holds it back
		case of != nil:
			waits[m.Conversation] = true
			f := l.held[m.ID].again(now, of)
			f.conversation = m.Conversation
			l.held[m.ID] = f
		case err == nil:
			delete(l.held, m.ID)
			delete(l.tried, m.ID)
		}
	}
	return answered
}

// settle takes the outcome of an attempt into account.
func (l *line) settle(ctx context.Context, list []store.Message, failed map[string]error, err error) {
	if ctx.Err() != nil {
		return // we are stopping: the attempt says nothing about the line
	}
	if errors.Is(err, errRolledBack) {
		l.poke() // the usual lane recovers
		return
	}
	now := l.engine.cfg.Now()
	before := l.error()
	l.mu.Lock()
	if err != nil || len(failed) > 0 {
		l.front.drop() // they are queued again
	}
	answered := l.holdBack(list, failed, err)
	switch {
	case !answered:
		l.failure = l.failure.again(now, err)
		if list == nil && !isLocal(err) {
			l.failure.text = "" // it was only to learn what the peer holds
		}
	case len(l.held) > maxHeld && len(failed) > 0:
		l.failure = l.failure.again(now, failed[slices.Min(slices.Collect(maps.Keys(failed)))])
	default:
		l.failure, l.greeted = failure{}, true
	}
	l.mu.Unlock()
	switch {
	case l.error() != before:
		l.engine.changed()
	case len(list) > 0 && err == nil:
		l.engine.moved(time.Time{})
	}
}

// emptied notes that nothing is queued: no failure is left to tell of.
func (l *line) emptied(ctx context.Context) {
	before := l.error()
	l.mu.Lock()
	if len(l.flying) == 0 && l.greeted {
		l.failure = failure{}
		clear(l.held)
		clear(l.tried)
	}
	l.mu.Unlock()
	if before != "" && l.error() != before {
		l.engine.changed()
	}
	l.countQueued(ctx)
}
