// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/store"
)

// line is the hotline to one peer: its outbox and the lanes that empty it.
//
// A failure is either of the line (no connection, the peer's relay has a fault)
// or of one message (the peer refuses this message, or its receipt is wrong).
// The first holds back all messages for a while; the second only the message and
// those behind it in its conversation.
type line struct {
	engine      *Engine
	trustDomain string
	// wakes make the lanes look again.
	wakes [lanes]chan struct{}
	// commits shares transactions between concurrent changes, urgent between those that are.
	commits, urgent committer
	// verifying is held while the journal is verified.
	verifying sync.Mutex
	// hashes of our journal, known the peer's signer, peerLog the peer's journal, leaving what
	// the peer may hold of ours: all in memory.
	hashes  hashes
	known   known
	peerLog peerLog
	leaving leaving
	// underway are batches of the peer that are being answered.
	underway underway
	// sightings of what waits, for deadlines.
	sightings sightings
	// undrafted: the hotline has no rules of release, and no draft was ever stored on it.
	undrafted atomic.Bool

	mu      sync.Mutex // guards what follows
	hotline config.Hotline
	peer    config.Peer
	// firsts of the deadlines of the settings, by precedence: each message asks for one.
	firsts map[string]time.Duration
	cancel context.CancelFunc
	// failure of the line; its zero value is none.
	failure failure
	// held are messages with a failure of their own, by id.
	held map[string]failure
	// tried are messages that were sent at least once since the start, by id.
	tried map[string]bool
	// flying are messages that are being sent, by id.
	flying map[string]flight
	// front of what is queued.
	front front
	// leads: this replica has the line.
	leads bool
	// greeted tells whether the peer answered since this replica has the line.
	greeted bool
	// peerRecovers: it answered that it first gets back what it lost.
	peerRecovers bool
	// flashed is when an express lane was used last.
	flashed time.Time
	// counted is when what is queued was counted last.
	counted time.Time
	// newestOwn is the newest checkpoint of our journal, resigned one that was signed anew.
	newestOwn, resigned store.Checkpoint
	// toldBreak: the peer holds our journal as it goes on after our last break.
	toldBreak bool
	// health of the two journals.
	health health
	// damage of the journal as the last verification found it, for people, and when that was.
	damage     string
	verifiedAt time.Time
	owed       owed
}

func newLine(e *Engine, trustDomain string) *line {
	l := &line{
		engine: e, trustDomain: trustDomain,
		held: map[string]failure{}, tried: map[string]bool{}, flying: map[string]flight{},
	}
	for i := range l.wakes {
		l.wakes[i] = make(chan struct{}, 1)
	}
	return l
}

// apply takes new settings.
func (l *line) apply(h config.Hotline, p config.Peer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hotline.Name != "" && l.hotline.Name != h.Name {
		l.engine.metrics.forget(l.hotline.Name)
		l.engine.metrics.owed(h.Name, l.owed)
	}
	l.hotline, l.peer, l.firsts = h, p, firstsOf(h.Deadlines)
}

func (l *line) settings() (config.Hotline, config.Peer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hotline, l.peer
}

func (l *line) name() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hotline.Name
}

// firstOf is how long until the first deadline of a message of that precedence passes.
func (l *line) firstOf(precedence string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if first, known := l.firsts[precedence]; known {
		return first
	}
	return l.firsts["ROUTINE"]
}

// released tells whether the hotline has rules of release.
func (l *line) released() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hotline.Release != nil
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
	l.pokeAll()
}

// hurry lets the next attempt be made at once; the back-off goes on after it. flash says that
// the message at hand is one.
func (l *line) hurry(flash bool) {
	l.mu.Lock()
	waited := !l.failure.until.IsZero()
	l.failure.until = time.Time{}
	l.mu.Unlock()
	if flash || waited {
		l.pokeAll()
	} else {
		l.poke() // the lanes of FLASH have nothing to look for
	}
}

// poke makes the usual lane look again, pokeAll every lane.
func (l *line) poke() { l.pokeLanes(l.wakes[usual : usual+1]) }

func (l *line) pokeAll() {
	l.forgetFront()
	l.pokeLanes(l.wakes[:])
}

func (l *line) pokeLanes(wakes []chan struct{}) {
	for _, wake := range wakes {
		select {
		case wake <- struct{}{}:
		default:
		}
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

// countQueued counts what is queued for the metric, at most once in a second.
func (l *line) countQueued(ctx context.Context) {
	const pause = time.Second
	now := l.engine.cfg.Now()
	l.mu.Lock()
	due := now.Sub(l.counted) >= pause || now.Before(l.counted)
	if due {
		l.counted = now
	}
	l.mu.Unlock()
	if !due {
		return
	}
	if counts, err := l.engine.cfg.Store.CountMessages(ctx, l.trustDomain); err == nil {
		l.engine.metrics.queued(l.name(), counts.Queued)
	}
}
