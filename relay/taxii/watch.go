// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrStalled: the server said nothing for too long.
var ErrStalled = errors.New("the server said nothing for too long")

// ErrTooSlow: the server says something again and again, and next to nothing.
var ErrTooSlow = fmt.Errorf("a page comes more slowly than %d bytes a second", slowest)

// A page may take slowGrace, and one second more for each slowest bytes of it: a
// server that drips would else hold up an import for ever, and nobody would see.
const (
	slowest   = 1 << 10
	slowGrace = time.Minute
)

// ErrTooLong: a page does not end.
var ErrTooLong = fmt.Errorf("a page is longer than %d bytes", maxPageBytes)

// watcher ends a request when nothing has come for a while. A page may take
// long as long as it moves.
type watcher struct {
	timer  *time.Timer
	stall  time.Duration
	cancel context.CancelCauseFunc
}

type watcherKey struct{}

func watch(ctx context.Context, stall time.Duration) (context.Context, *watcher) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watcher{stall: stall, cancel: cancel}
	w.timer = time.AfterFunc(stall, func() { cancel(ErrStalled) })
	return context.WithValue(ctx, watcherKey{}, w), w
}

// watcherOf returns the watcher of a request, or one that watches nothing.
func watcherOf(ctx context.Context) *watcher {
	w, _ := ctx.Value(watcherKey{}).(*watcher)
	return w
}

// expect starts the time anew, with a pause before it.
func (w *watcher) expect(pause time.Duration) {
	if w != nil {
		w.timer.Reset(pause + w.stall)
	}
}

func (w *watcher) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// cause replaces "context canceled" by the reason.
func (w *watcher) cause(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), ErrStalled) {
		return ErrStalled
	}
	return err
}

// body watches, and bounds, the body of an answer.
func (w *watcher) body(ctx context.Context, body io.Reader) io.Reader {
	w.expect(0)
	return &watchedBody{Reader: body, watcher: w, cause: func(err error) error { return w.cause(ctx, err) }, rest: maxPageBytes, begun: time.Now()}
}

type watchedBody struct {
	io.Reader
	watcher *watcher
	cause   func(error) error
	rest    int64
	begun   time.Time
}

// slow tells whether the body has taken longer than what came of it may take.
func (b *watchedBody) slow() bool {
	return time.Since(b.begun) > slowGrace+time.Duration((maxPageBytes-b.rest)/slowest)*time.Second
}

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	if b.rest <= 0 {
		return 0, ErrTooLong
	}
	n, err := b.Reader.Read(p[:min(int64(len(p)), b.rest)])
	b.rest -= int64(n)
	if n > 0 {
		b.watcher.expect(0)
	}
	if err == nil && b.slow() {
		return n, ErrTooSlow
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.cause(err)
	}
	return n, err
}
