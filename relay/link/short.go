// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// A hotline batch is short, and whoever sent it waits for the answer. So the goroutine that has read the
// beginning of such a request serves it too, with the request reader of net/http but without its server, which takes two
// more goroutines and a reader beside each handler. Whatever is not short, or not well-formed, goes there.

const (
	// shortBody is the largest body of a short request, in bytes.
	shortBody = 64 << 10
	// watchAfter is how long a handler may take before somebody looks whether the peer still waits.
	watchAfter = 100 * time.Millisecond
)

// serveShort serves the request of a stream if it is short. If not, what was read of it is to be read again.
func (s *Server) serveShort(c *carried) bool {
	served, answered := s.tryShort(c)
	if answered {
		_ = c.CloseAndReadOn() // an error has ended the connection
	}
	return served
}

// tryShort is serveShort, but for the end of a stream whose request was answered and which nobody reads.
func (s *Server) tryShort(c *carried) (served, answered bool) {
	life, ok := s.works()
	if !ok {
		return false, false
	}
	defer s.shorts.Done()
	l := classes[c.on.class]
	begun := time.Now()
	_ = c.SetReadDeadline(begun.Add(headerTime(l)))
	in := takeReader(c.Stream)
	defer giveReader(in)
	if _, err := in.Peek(1); err != nil {
		c.Close()
		return true, false
	}
	came, _ := in.Peek(in.Buffered()) // it stays as it is while no more is read
	head, _, whole := bytes.Cut(came, []byte("\r\n\r\n"))
	if !whole {
		c.leave(came, begun)
		return false, false
	}
	req, err := http.ReadRequest(in)
	if err != nil || !isShort(req, head) {
		c.leave(came, begun)
		return false, false
	}
	if int64(in.Buffered()) < req.ContentLength {
		_ = c.SetReadDeadline(begun.Add(l.read))
	}
	_ = c.SetWriteDeadline(time.Now().Add(l.write))
	return true, s.answerShort(life, c, req)
}

// works counts a request that begins, which Run waits for; false while the server does not run.
func (s *Server) works() (life context.Context, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life == nil || s.life.Err() != nil {
		return nil, false
	}
	s.shorts.Add(1)
	return s.life, true
}

// leave gives a request back, to be read again by the server of its class.
func (c *carried) leave(came []byte, begun time.Time) {
	c.came, c.waited = bytes.NewReader(slices.Clone(came)), time.Since(begun)
}

// heeding is how long a handler has to return when its time is over.
const heeding = time.Second

// awaitShort lets short requests finish after the server has stopped, as shutDown does others. Their time is over
// after drain: who does not heed that is left alone, or one that hangs would keep the relay from stopping.
func (s *Server) awaitShort() {
	s.mu.Lock()   // what began under it is counted
	s.mu.Unlock() //nolint:staticcheck // empty on purpose
	finished := make(chan struct{})
	go func() {
		s.shorts.Wait()
		close(finished)
	}()
	select {
	case <-finished:
	case <-time.After(drain + heeding):
		s.cfg.Log.Warn("requests of the hotline have not ended; the relay stops without them", "waited", drain+heeding)
	}
}

// isShort tells whether a request is one to be served here: with a body of a known length, and nothing in its
// header for which the server of net/http does something, or which it refuses.
func isShort(r *http.Request, head []byte) bool {
	switch {
	case r.Method != http.MethodPost, r.ContentLength <= 0, r.ContentLength > shortBody, r.ProtoMajor != 1, r.ProtoMinor < 1:
		return false
	case r.URL.Host != "", r.Host == "", strings.ContainsFunc(r.Host, notIn(".-:")), bytes.Count(bytes.ToLower(head), []byte("\nhost:")) != 1:
		return false
	}
	for name, values := range r.Header {
		switch name {
		case "Expect", "Upgrade", "Trailer", "Transfer-Encoding":
			return false
		}
		if strings.ContainsFunc(name, notIn("-")) {
			return false
		}
		for _, v := range values {
			if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				return false
			}
		}
	}
	return true
}

// notIn tells of a letter that it is none of ASCII, no digit and none of others.
func notIn(others string) func(r rune) bool {
	return func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(others, r)
	}
}

// answerShort lets the handler answer. When the relay stops, requests may go on for a while. It tells whether the
// stream is to be closed, and is not closed yet.
func (s *Server) answerShort(life context.Context, c *carried, req *http.Request) (answered bool) {
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), carrierKey{}, carrier(c)))
	defer cancel()
	c.AfterFail(cancel)
	stopping := context.AfterFunc(life, func() {
		time.AfterFunc(drain, func() { cancel(); c.Abort() })
	})
	defer stopping()
	body := &watchedBody{ReadCloser: req.Body, then: func() { c.watch(cancel) }}
	defer body.end()
	defer func() {
		if fault := recover(); fault != nil {
			if fault != http.ErrAbortHandler { //nolint:errorlint // it is that very value
				s.cfg.Log.Error("serving a request of a peer panicked", "path", req.URL.Path, "fault", fault, "stack", string(debug.Stack()))
			}
			c.Close() // what has left is no whole answer
		}
	}()
	req.Body = body
	w := &shortAnswer{to: c.Stream, header: http.Header{}}
	s.short.ServeHTTP(w, req.WithContext(ctx))
	if !w.end() {
		c.Close() // as above
		return false
	}
	_, _ = io.Copy(io.Discard, body) // what nobody reads would end the connection
	if body.end() {
		return true
	}
	c.Close() // that calls back who watches
	return false
}

// watchedBody is a body that lets somebody watch the stream a while after all of it was read.
type watchedBody struct {
	io.ReadCloser
	then  func()
	timer atomic.Pointer[time.Timer]
}

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) && b.timer.Load() == nil {
		b.timer.Store(time.AfterFunc(watchAfter, b.then))
	}
	return n, err
}

// end lets nobody read the body any more, whose buffer is used again, and nobody begin to watch. It tells whether
// nobody has.
func (b *watchedBody) end() bool {
	b.Close()
	timer := b.timer.Load()
	return timer == nil || timer.Stop()
}

// watch ends a request whose peer does not wait any more: nobody else reads the connection then.
func (c *carried) watch(cancel context.CancelFunc) {
	_ = c.SetReadDeadline(time.Time{})
	var more [1]byte
	_, _ = c.Stream.Read(more[:]) // whatever comes, it does not wait for an answer
	cancel()
}
