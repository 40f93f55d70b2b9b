// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/stream"
)

// maxInterim is the largest number of interim responses (1xx) before the final one.
const maxInterim = 5

var (
	readers = sync.Pool{New: func() any { return bufio.NewReader(nil) }}
	writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, smallBody+headerRoom) }}
)

// smallBody is the largest body, in bytes, that leaves together with its header: what TCP takes of a stream that has
// just begun, whether or not the peer reads. headerRoom is what our headers take at most, usually.
const (
	smallBody  = 16 << 10
	headerRoom = 4 << 10
)

// exchange is one request and its response on a stream of its own.
type exchange struct {
	stream *stream.Stream
	in     *bufio.Reader
	limit  *limited
	stop   func() bool // takes the context's hand off the stream
	once   sync.Once
	// began: a byte of the response has arrived.
	began bool
}

// limited bounds what is read until it is lifted.
type limited struct {
	from io.Reader
	left int64
}

var errHeaderTooLong = fmt.Errorf("the header of the response has more than %d bytes", maxHeaderBytes)

func (l *limited) Read(b []byte) (int, error) {
	if l.left <= 0 {
		return 0, errHeaderTooLong
	}
	n, err := l.from.Read(b[:min(int64(len(b)), l.left)])
	l.left -= int64(n)
	return n, err
}

// newExchange makes a stream one for a request; the end of the context aborts it.
func newExchange(ctx context.Context, s *stream.Stream) *exchange {
	x := &exchange{stream: s, limit: &limited{from: s, left: maxHeaderBytes}}
	x.in = takeReader(x.limit)
	x.stop = context.AfterFunc(ctx, s.Abort)
	return x
}

// do sends the request and reads the header of the response, which begins within
// the given time. The body of the response ends the exchange; an error has ended it.
func (x *exchange) do(req *http.Request, answer time.Duration) (*http.Response, error) {
	_ = x.stream.SetDeadline(time.Now().Add(answer))
	sent := make(chan error, 1)
	if isSmall(req) {
		sent <- x.send(req)
	} else {
		// A peer may answer before it has read all, and then reads no more.
		go func() { sent <- x.send(req) }()
	}
	resp, err := x.receive(req)
	if err != nil {
		x.end(false)
		if failed := <-sent; failed != nil && errors.Is(err, io.EOF) {
			err = failed
		}
		return nil, err
	}
	_ = x.stream.SetDeadline(time.Time{})
	x.limit.left = math.MaxInt64
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, nil
	}
	if resp.Body == http.NoBody {
		x.end(true)
		return resp, nil
	}
	resp.Body = &body{ReadCloser: resp.Body, x: x}
	return resp, nil
}

// isSmall tells whether sending a request waits for nobody. Then it needs no goroutine of its own, and leaves in one
// write with what opens its stream.
func isSmall(req *http.Request) bool {
	return req.Body == nil || req.Body == http.NoBody || req.ContentLength > 0 && req.ContentLength <= smallBody
}

func (x *exchange) send(req *http.Request) error {
	w := writers.Get().(*bufio.Writer) //nolint:errcheck // nothing else is put there
	w.Reset(x.stream)
	defer func() {
		w.Reset(nil)
		writers.Put(w)
	}()
	if err := req.Write(w); err != nil {
		return err
	}
	return w.Flush()
}

func (x *exchange) receive(req *http.Request) (*http.Response, error) {
	_, err := x.in.Peek(1)
	if err != nil {
		return nil, err
	}
	x.began = true
	if trace := httptrace.ContextClientTrace(req.Context()); trace != nil && trace.GotFirstResponseByte != nil {
		trace.GotFirstResponseByte()
	}
	for range maxInterim + 1 {
		resp, err := http.ReadResponse(x.in, req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode >= http.StatusOK || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, nil
		}
	}
	return nil, fmt.Errorf("more than %d interim responses", maxInterim)
}

// end gives the stream back: whole, so that the connection can be used again, or
// aborted.
func (x *exchange) end(whole bool) {
	x.once.Do(func() {
		x.stop()
		if whole {
			_ = x.stream.Close() // an error is that of a stream which has failed, and so ended
		} else {
			x.stream.Abort()
		}
		giveReader(x.in)
	})
}

func takeReader(from io.Reader) *bufio.Reader {
	in := readers.Get().(*bufio.Reader) //nolint:errcheck // nothing else is put there
	in.Reset(from)
	return in
}

func giveReader(in *bufio.Reader) {
	in.Reset(nil)
	readers.Put(in)
}

// body is that of a response. Read to its end, or as far as its length says, it
// frees the connection.
type body struct {
	io.ReadCloser
	x *exchange

	mu    sync.Mutex // guards ended
	ended bool
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return 0, io.EOF
	}
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.ended = true
		b.x.end(errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF))
	}
	return n, err
}

// Close ends the exchange; what was not read is not wanted.
func (b *body) Close() error {
	b.x.stop()
	if !b.mu.TryLock() {
		// Somebody reads: the abort ends that.
		b.x.stream.Abort()
		b.mu.Lock()
	}
	defer b.mu.Unlock()
	if !b.ended {
		b.ended = true
		b.x.end(false)
	}
	return nil
}
