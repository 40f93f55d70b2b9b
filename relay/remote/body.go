// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// enough is what must come of an answer within the stall time.
	enough = 1 << 10
	// bombBytes and bombRatio: what has grown beyond both is a bomb. Real JSON
	// shrinks to a twentieth or so, never to a two-hundredth.
	bombBytes = 64 << 20
	bombRatio = 200
)

// watch gives a request up when too little moves. It runs only while the server is
// waited for, not while the caller works on what has come.
type watch struct {
	timer  *time.Timer
	stall  time.Duration
	cancel context.CancelCauseFunc
	// answered is set once the request's body does not count any more.
	answered atomic.Bool
	// waited and got are those since there was enough at last. The reader of the
	// body alone uses them.
	waited time.Duration
	got    int
}

func newWatch(ctx context.Context, stall time.Duration) (*watch, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{stall: stall, cancel: cancel}
	w.timer = time.AfterFunc(stall, func() { cancel(ErrStalled) })
	return w, ctx
}

// rest stops the time until the next wait.
func (w *watch) rest() {
	w.answered.Store(true)
	w.timer.Stop()
}

func (w *watch) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// wait runs a read against the rest of the stall time.
func (w *watch) wait(read func() (int, error)) (int, error) {
	w.timer.Reset(max(w.stall-w.waited, time.Millisecond))
	begin := time.Now()
	n, err := read()
	w.timer.Stop()
	w.waited += time.Since(begin)
	if w.got += n; w.got >= enough {
		w.waited, w.got = 0, 0
	}
	return n, err
}

// cause replaces "context canceled" by the reason.
func (w *watch) cause(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), ErrStalled) {
		return ErrStalled
	}
	return err
}

// sentBody is the body of a request: a server that takes it in is no silent one.
type sentBody struct {
	io.ReadCloser
	watch *watch
}

// Read implements io.Reader.
func (b *sentBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if !b.watch.answered.Load() {
		b.watch.timer.Reset(b.watch.stall)
	}
	return n, err
}

// meter counts and bounds an answer.
type meter struct {
	// limit of decompressed bytes; zero means none.
	limit int64
	// total is what the server announces, -1 if nothing.
	total    int64
	received atomic.Int64
}

func (m *meter) begin(total int64) {
	m.total = total
	m.received.Store(0)
}

// body is an answer on its way.
type body struct {
	raw     io.ReadCloser
	watch   *watch
	ctx     context.Context
	meter   *meter
	gzipped bool
	counted countedBody
	source  io.Reader
	opened  bool
	given   int64
	once    sync.Once
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.gzipped && !b.opened {
		z, err := gzip.NewReader(&b.counted)
		if err != nil {
			return 0, b.end(err)
		}
		b.source, b.opened = z, true
	}
	if b.meter.limit > 0 {
		// One byte more than the limit, to see whether it ends there.
		p = p[:min(int64(len(p)), b.meter.limit-b.given+1)]
	}
	n, err := b.source.Read(p)
	b.given += int64(n)
	switch {
	case b.meter.limit > 0 && b.given > b.meter.limit:
		return 0, b.end(fmt.Errorf("%w: more than %d bytes", ErrTooLong, b.meter.limit))
	case b.given > bombBytes && b.given/bombRatio > b.meter.received.Load():
		return 0, b.end(ErrBomb)
	case err != nil && !errors.Is(err, io.EOF):
		err = b.end(err)
	}
	return n, err
}

// end makes sure that an answer that went wrong costs nothing more.
func (b *body) end(err error) error {
	err = b.watch.cause(b.ctx, err)
	b.source, b.gzipped = failed{err}, false
	return err
}

// Close ends the answer, read to its end or not.
func (b *body) Close() error {
	err := b.raw.Close()
	b.once.Do(b.watch.stop)
	return err
}

// countedBody is the body as it comes over the wire.
type countedBody struct{ body *body }

// Read implements io.Reader.
func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.body.watch.wait(func() (int, error) { return c.body.raw.Read(p) })
	c.body.meter.received.Add(int64(n))
	return n, err
}

type failed struct{ err error }

// Read implements io.Reader.
func (f failed) Read([]byte) (int, error) { return 0, f.err }
