// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package attachment

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/attachment/chunk"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

const (
	// trusted is how long a peer's word counts that it has a file: its database may be
	// replaced by an older one.
	trusted = 30 * time.Second
	// maxWanted bounds the files that wait for one peer. Messages with more ask again.
	maxWanted = 4096
	// maxAtOnce is how many chunks of one peer are taken at the same moment: what is left of
	// requests that were cut must not keep the next one out.
	maxAtOnce = 4
	// The back-off after failures in a row: doubled each time, less up to a quarter at random.
	shortestBackoff = time.Second
	longestBackoff  = 30 * time.Second
)

// line is what goes to and comes from one peer.
//
// A failure is of the line (no connection, no room there) or of one file (the peer refuses
// this very one). The first holds back all files for a while, the second that file alone.
type line struct {
	engine      *Engine
	trustDomain string
	// wake makes run look again; slots bound the chunks that are taken at once.
	wake, slots chan struct{}

	mu     sync.Mutex // guards what follows
	name   string
	cancel context.CancelFunc
	// wanted are the files that messages wait for, with their sizes; fresh tells that one was
	// added since next was asked last.
	wanted map[store.Hash]*want
	fresh  bool
	// size of the next chunk, as the link took those before.
	size int
	// known is when the peer said that it has a file.
	known   map[store.Hash]time.Time
	failure failure
}

// want is a file that a message waits for.
type want struct {
	size    int64
	failure failure
}

// failure is a row of failed attempts.
type failure struct {
	attempts int
	until    time.Time
	text     string
}

// again is the failure after one more attempt.
func (f failure) again(now time.Time, err error) failure {
	f.attempts++
	pause := longestBackoff
	if f.attempts <= 5 {
		pause = min(pause, shortestBackoff<<(f.attempts-1))
	}
	f.until, f.text = now.Add(pause-rand.N(pause/4)), forPeople(err)
	return f
}

func newLine(e *Engine, trustDomain string) *line {
	return &line{
		engine: e, trustDomain: trustDomain, wake: make(chan struct{}, 1), slots: make(chan struct{}, maxAtOnce), size: firstChunk,
		wanted: map[store.Hash]*want{}, known: map[store.Hash]time.Time{},
	}
}

func (l *line) rename(name string) (before string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, l.name = l.name, name
	return before
}

func (l *line) hotline() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.name
}

func (l *line) setStop(cancel context.CancelFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel = cancel
}

func (l *line) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cancel != nil {
		l.cancel()
	}
}

func (l *line) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// reset forgets how long failures lasted, and looks at once.
func (l *line) reset() {
	l.mu.Lock()
	l.failure.attempts, l.failure.until = 0, time.Time{}
	for _, w := range l.wanted {
		w.failure.attempts, w.failure.until = 0, time.Time{}
	}
	l.mu.Unlock()
	l.poke()
}

// Ready implements hotline.Attachments: it tells whether the peer has said a moment ago that
// it has all of these. What it has not is sent, and Config.Stored called then.
func (e *Engine) Ready(_ context.Context, trustDomain string, list []message.Attachment) (bool, error) {
	l := e.line(trustDomain)
	if l == nil {
		return false, nil // its Hotline is gone, and with it soon the message's turn
	}
	return l.ready(list)
}

func (l *line) ready(list []message.Attachment) (bool, error) {
	now := l.engine.cfg.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.known, func(_ store.Hash, at time.Time) bool { return now.Sub(at) >= trusted || now.Before(at) })
	all := true
	for _, a := range list {
		sum, err := chunk.ParseName(a.SHA256)
		if err != nil {
			return false, err
		}
		if _, ok := l.known[sum]; ok {
			continue
		}
		all = false
		if l.wanted[sum] == nil && len(l.wanted) < maxWanted {
			l.wanted[sum], l.fresh = &want{size: a.Size}, true
			l.poke()
		}
	}
	return all, nil
}

// Complete implements hotline.Attachments: it tells whether all of these are stored here,
// complete and of these sizes.
func (e *Engine) Complete(ctx context.Context, trustDomain string, list []message.Attachment) (bool, error) {
	for _, a := range list {
		sum, err := chunk.ParseName(a.SHA256)
		if err != nil {
			return false, nil //nolint:nilerr // nobody can store it
		}
		stored, err := e.finish(ctx, store.AttachmentKey{Direction: store.In, Peer: trustDomain, SHA256: sum})
		if err != nil {
			return false, err
		}
		if !stored.Complete || stored.Size != a.Size {
			return false, nil
		}
	}
	return true, nil
}

// run sends until ctx ends.
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
		until, due := l.due()
		switch {
		case due:
			// Another replica may still be at it: then we wait for its end.
			l.engine.cfg.Lead(ctx, "attachments/"+l.trustDomain, l.work)
			timer.Reset(0)
		case !until.IsZero():
			timer.Reset(max(0, until.Sub(l.engine.cfg.Now())))
		default:
			timer.Stop()
		}
	}
}

// due tells whether a file can be tried now, or else when one can; zero for none.
func (l *line) due() (until time.Time, due bool) {
	now := l.engine.cfg.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.wanted {
		at := w.failure.until
		if l.failure.until.After(at) {
			at = l.failure.until
		}
		if !at.After(now) {
			return time.Time{}, true
		}
		if until.IsZero() || at.Before(until) {
			until = at
		}
	}
	return until, false
}

// work sends one file after the other, until none is left that can be tried now.
func (l *line) work(ctx context.Context) {
	for ctx.Err() == nil {
		sum, size, ok := l.next(ctx)
		if !ok {
			return
		}
		l.settle(ctx, sum, l.send(ctx, sum, size))
	}
}

// next chooses what goes now: in the order of the messages that wait for it.
func (l *line) next(ctx context.Context) (sum store.Hash, size int64, ok bool) {
	order, err := l.engine.cfg.Store.QueuedAttachments(ctx, l.trustDomain, store.MaxMessages)
	if err != nil {
		order = nil // then in any order; sending tells of the store's trouble
	}
	now := l.engine.cfg.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fresh = false
	if l.failure.until.After(now) {
		return sum, 0, false
	}
	for _, sum := range slices.Concat(order, slices.Collect(maps.Keys(l.wanted))) {
		if w := l.wanted[sum]; w != nil && !w.failure.until.After(now) {
			return sum, w.size, true
		}
	}
	return sum, 0, false
}

// overtaken tells whether another file was asked for since this one was chosen.
func (l *line) overtaken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fresh
}

// settle takes the outcome of an attempt into account.
func (l *line) settle(ctx context.Context, sum store.Hash, err error) {
	if ctx.Err() != nil || err == errOvertaken { //nolint:errorlint // our own, and never wrapped
		return
	}
	e, now := l.engine, l.engine.cfg.Now()
	before := l.trouble()
	l.mu.Lock()
	switch w := l.wanted[sum]; {
	case err == nil:
		l.failure = failure{}
		delete(l.wanted, sum)
		l.known[sum] = now
	case isOfFile(err) && w != nil:
		l.failure = failure{}
		w.failure = w.failure.again(now, err)
	default:
		l.failure = l.failure.again(now, err)
	}
	l.mu.Unlock()
	if err == nil {
		e.cfg.Stored(l.trustDomain)
	} else {
		e.metrics.failed(l.hotline(), store.Out)
	}
	if after := l.trouble(); after != before {
		if after != "" {
			e.cfg.Log.WarnContext(ctx, "an attachment is not stored at the peer", "peer", l.trustDomain, "error", after)
		}
		e.cfg.Changed()
	}
	e.metrics.stuck(l.hotline(), l.trouble() != "")
}

// chunkSize is that of the next chunk; resize changes it.
func (l *line) chunkSize() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size
}

func (l *line) resize(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.size = n
}

// trouble is why files wait, for people; "" if none does.
func (l *line) trouble() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.wanted) == 0 {
		return ""
	}
	if l.failure.text != "" {
		return l.failure.text
	}
	texts := []string{}
	for _, w := range l.wanted {
		if w.failure.text != "" {
			texts = append(texts, w.failure.text)
		}
	}
	if len(texts) == 0 {
		return ""
	}
	return slices.Min(texts)
}
