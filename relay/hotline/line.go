// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/store"
)

// line is the hotline to one peer: its outbox and one goroutine that empties it.
//
// A failure is either of the line (no connection, the peer's relay has a fault)
// or of one message (the peer refuses this message, or its receipt is wrong).
// The first holds back all messages for a while; the second only the message and
// those behind it in its conversation.
type line struct {
	engine      *Engine
	trustDomain string
	// wake makes run look again.
	wake chan struct{}
	// commits shares transactions between concurrent changes.
	commits committer
	// verifying is held while the journal is verified.
	verifying sync.Mutex
	// sightings of what waits, for deadlines.
	sightings sightings

	mu      sync.Mutex // guards what follows
	hotline config.Hotline
	peer    config.Peer
	cancel  context.CancelFunc
	// failure of the line; its zero value is none.
	failure failure
	// held are messages with a failure of their own, by id.
	held map[string]failure
	// tried are messages that were sent at least once since the start, by id.
	tried map[string]bool
	// damage of the journal as the last verification found it, for people.
	damage string
}

func newLine(e *Engine, trustDomain string) *line {
	return &line{
		engine: e, trustDomain: trustDomain, wake: make(chan struct{}, 1),
		held: map[string]failure{}, tried: map[string]bool{},
	}
}

// apply takes new settings.
func (l *line) apply(h config.Hotline, p config.Peer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hotline.Name != "" && l.hotline.Name != h.Name {
		l.engine.metrics.forget(l.hotline.Name)
	}
	l.hotline, l.peer = h, p
}

func (l *line) settings() (config.Hotline, config.Peer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hotline, l.peer
}

func (l *line) name() string {
	h, _ := l.settings()
	return h.Name
}

func (l *line) setStop(cancel context.CancelFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel = cancel
}

// stop ends run, if it runs.
func (l *line) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cancel != nil {
		l.cancel()
	}
}

// reset forgets how long failures lasted, and looks at once. What they were
// stays in the report until an attempt succeeds.
func (l *line) reset() {
	l.mu.Lock()
	l.failure.forgive()
	for id, f := range l.held {
		f.forgive()
		l.held[id] = f
	}
	l.mu.Unlock()
	l.poke()
}

// hurry lets the next attempt be made at once; the back-off goes on after it.
func (l *line) hurry() {
	l.mu.Lock()
	l.failure.until = time.Time{}
	l.mu.Unlock()
	l.poke()
}

func (l *line) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run delivers until ctx ends.
func (l *line) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-l.wake:
		}
		if next := l.round(ctx); !next.IsZero() {
			timer.Reset(max(0, next.Sub(l.engine.cfg.Now())))
		} else {
			timer.Stop()
		}
	}
}

// round delivers everything that can be delivered now, the most urgent first,
// looking again after each message. It returns when to look again by itself,
// zero for never.
func (l *line) round(ctx context.Context) time.Time {
	defer l.countQueued(ctx)
	for ctx.Err() == nil {
		m, next, err := l.pick(ctx)
		if err != nil {
			l.settle(ctx, store.Message{}, err)
			continue
		}
		if m.ID == "" {
			if next.IsZero() {
				l.emptied()
			}
			return next
		}
		l.settle(ctx, m, l.deliver(ctx, m))
	}
	return time.Time{}
}

// pick returns the next message that may be sent now; if there is none, the time
// from which there may be one.
func (l *line) pick(ctx context.Context) (store.Message, time.Time, error) {
	l.mu.Lock()
	until, held := l.failure.until, maps.Clone(l.held)
	l.mu.Unlock()
	now := l.engine.cfg.Now()
	if until.After(now) {
		return store.Message{}, until, nil
	}
	// However much waits behind a refused message, it must not hide what is free.
	m, err := l.free(ctx, held, now)
	if m.ID != "" || err != nil {
		return m, time.Time{}, err
	}
	// Nothing is free: look which held message waits least.
	for limit := 16; ; limit = min(limit*4, store.MaxMessages) {
		pending, err := l.engine.cfg.Store.Pending(ctx, l.trustDomain, limit)
		if err != nil {
			return store.Message{}, time.Time{}, &localError{doing: "reading the outbox", err: err}
		}
		m, until, free := firstFree(pending, held, now)
		switch {
		case free:
			return m, time.Time{}, nil
		case len(pending) == limit && limit < store.MaxMessages:
			continue
		case until.After(now):
			return store.Message{}, until, nil
		}
		return m, time.Time{}, nil
	}
}

// free returns the first message of a conversation in which nothing waits, none if
// there is none. Beyond maxHeld that is for firstFree to say.
func (l *line) free(ctx context.Context, held map[string]failure, now time.Time) (store.Message, error) {
	if len(held) == 0 || len(held) > maxHeld {
		return store.Message{}, nil
	}
	talks := make([]string, 0, len(held))
	for _, f := range held {
		if f.until.After(now) {
			talks = append(talks, f.conversation)
		}
	}
	pending, err := l.engine.cfg.Store.Pending(ctx, l.trustDomain, 1, talks...)
	if err != nil {
		return store.Message{}, &localError{doing: "reading the outbox", err: err}
	}
	if len(pending) == 0 {
		return store.Message{}, nil
	}
	return pending[0], nil
}

// firstFree returns the first message that neither waits itself nor follows one
// of its conversation that does. If none is free it returns the one that waits
// least, and until when. Beyond maxHeld every held one counts as waiting: what
// was refused then stands behind what was not tried.
func firstFree(pending []store.Message, held map[string]failure, now time.Time) (first store.Message, until time.Time, free bool) {
	crowded := len(held) > maxHeld
	blocked := map[string]bool{}
	for _, m := range pending {
		failed, isHeld := held[m.ID]
		switch {
		case blocked[m.Conversation]:
			continue
		case !isHeld, !crowded && !failed.until.After(now):
			return m, time.Time{}, true
		case first.ID == "" || failed.until.Before(until):
			first, until = m, failed.until
		}
		blocked[m.Conversation] = true
	}
	return first, until, false
}

// settle takes the outcome of an attempt into account.
func (l *line) settle(ctx context.Context, m store.Message, err error) {
	if ctx.Err() != nil {
		return // we are stopping: the attempt says nothing about the line
	}
	now := l.engine.cfg.Now()
	before := l.error()
	l.mu.Lock()
	switch {
	case err == nil:
		l.failure = failure{}
		delete(l.held, m.ID)
		delete(l.tried, m.ID)
	case isOfMessage(err):
		f := l.held[m.ID].again(now, err)
		f.conversation = m.Conversation
		l.held[m.ID] = f
		if len(l.held) <= maxHeld {
			l.failure = failure{}
		} else {
			l.failure = l.failure.again(now, err)
		}
	default:
		l.failure = l.failure.again(now, err)
	}
	l.mu.Unlock()
	if err == nil || l.error() != before {
		l.engine.changed()
	}
}

// emptied notes that nothing is queued: no failure is left to tell of.
func (l *line) emptied() {
	before := l.error()
	l.mu.Lock()
	l.failure = failure{}
	clear(l.held)
	clear(l.tried)
	l.mu.Unlock()
	if before != "" {
		l.engine.changed()
	}
}

// error is what the report says about the journal, or else the last attempts: "" when
// all is well.
func (l *line) error() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.damage != "" {
		return l.damage
	}
	if l.failure.text != "" || len(l.held) == 0 {
		return l.failure.text
	}
	// ULIDs grow with time: the oldest held message speaks for all.
	return l.held[slices.Min(slices.Collect(maps.Keys(l.held)))].text
}

func (l *line) countQueued(ctx context.Context) {
	if counts, err := l.engine.cfg.Store.CountMessages(ctx, l.trustDomain); err == nil {
		l.engine.metrics.queued(l.name(), counts.Queued)
	}
}
