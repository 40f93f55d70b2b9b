// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/certlink/certlink/relay/stream"
)

// echoAll is echo whose goroutine reads on.
func echoAll(s *stream.Stream) {
	defer s.Close()
	if _, err := s.DeliverAll(s, nil); err == nil {
		_ = s.CloseWrite()
	}
}

// heard is what was read of a stream to its end.
type heard struct {
	bytes []byte
	err   error
}

// ask opens a stream that is read by who reads the connection.
func ask(e *end, t testing.TB, request []byte) <-chan heard {
	t.Helper()
	s, got := e.open(t), make(chan heard, 1)
	s.Then(func() {
		var answer bytes.Buffer
		_, err := s.DeliverAll(&answer, nil)
		got <- heard{answer.Bytes(), errors.Join(err, s.Close())}
	})
	if _, err := s.Write(request); err != nil {
		t.Fatal(err)
	}
	if err := s.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	return got
}

func answered(t testing.TB, got <-chan heard) heard {
	t.Helper()
	select {
	case h := <-got:
		return h
	case <-time.After(patience):
		t.Fatal("nobody has read the stream to its end")
		return heard{}
	}
}

func TestWhoReadsTheConnectionCarriesOneStreamAfterTheOther(t *testing.T) {
	p := newPair(t, setup{dialer: echoAll, listener: echoAll})
	for round := range 20 {
		for name, e := range ends(p) {
			request := random(1 + round*977)
			if h := answered(t, ask(e[0], t, request)); h.err != nil || !bytes.Equal(h.bytes, request) {
				t.Fatalf("%s, round %d: %d of %d bytes came back: %v", name, round, len(h.bytes), len(request), h.err)
			}
			e[0].isParked(t)
			e[1].isParked(t)
		}
	}
}

func TestWhatReadsAStreamIsToldWhenNobodyTakesIt(t *testing.T) {
	quiet := make(chan *stream.Stream, 1)
	for name, c := range map[string]struct {
		accept func(*stream.Stream)
		spoil  func(p *pair, s *stream.Stream)
		want   error
	}{
		"the connection is cut": {func(s *stream.Stream) { quiet <- s }, func(p *pair, _ *stream.Stream) { p.dialer.Cut() }, stream.ErrClosed},
		"it is refused":         {nil, func(*pair, *stream.Stream) {}, stream.ErrRefused},
		"time is up": {func(s *stream.Stream) { quiet <- s }, func(_ *pair, s *stream.Stream) {
			if err := s.SetReadDeadline(time.Now()); err != nil {
				t.Error(err)
			}
		}, os.ErrDeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, setup{listener: c.accept})
			s, got := p.dialer.open(t), make(chan error, 1)
			s.Then(func() {
				_, err := s.Read(make([]byte, 1))
				got <- err
				s.Abort()
			})
			if _, err := s.Write([]byte("anybody?")); err != nil {
				t.Fatal(err)
			}
			c.spoil(p, s)
			select {
			case err := <-got:
				if !errors.Is(err, c.want) {
					t.Errorf("it was told %v, want %v", err, c.want)
				}
			case <-time.After(patience):
				t.Fatal("it was not told")
			}
			if c.accept != nil {
				(<-quiet).Abort()
			}
		})
	}
}

// A deadline that calls back who reads the connection may be undone by then.
func TestWhatReadsOnAnotherGoroutineReadsOnThere(t *testing.T) {
	release := make(chan struct{})
	p := newPair(t, setup{listener: func(s *stream.Stream) {
		<-release
		echoAll(s)
	}})
	s, got := p.dialer.open(t), make(chan heard, 1)
	s.Then(func() {
		err := s.SetReadDeadline(time.Time{})
		close(release)
		_, failed := s.DeliverAll(io.Discard, nil) // END alone
		got <- heard{nil, errors.Join(err, failed, s.Close())}
	})
	if err := errors.Join(s.CloseWrite(), s.SetReadDeadline(time.Now())); err != nil {
		t.Fatal(err)
	}
	if h := answered(t, got); h.err != nil {
		t.Fatal(h.err)
	}
	p.dialer.isParked(t)
	p.listener.isParked(t)
	if h := answered(t, ask(p.dialer, t, []byte("next"))); h.err != nil || string(h.bytes) != "next" {
		t.Fatalf("the next stream brought %q, %v", h.bytes, h.err)
	}
}

// The local side takes nothing, while the stream has ended in both directions: the
// connection is free all the same, and somebody reads it.
func TestBytesThatNobodyTakesDoNotHoldTheConnection(t *testing.T) {
	local, far := net.Pipe()
	defer far.Close()
	first := true
	p := newPair(t, setup{listener: func(s *stream.Stream) {
		if !first {
			echoAll(s)
			return
		}
		first = false
		defer s.Close()
		if err := s.CloseWrite(); err != nil {
			t.Error(err)
		}
		_, _ = s.DeliverAll(local, nil)
	}})
	s := p.dialer.open(t)
	together := iotest.DataErrReader(strings.NewReader("stuck")) // with END in one record
	if _, err := s.SendFrom(together, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(s); err != nil {
		t.Fatal(err)
	}
	p.dialer.isParked(t)
	p.listener.isParked(t)
	if h := answered(t, ask(p.dialer, t, []byte("next"))); h.err != nil || string(h.bytes) != "next" {
		t.Fatalf("the next stream brought %q, %v", h.bytes, h.err)
	}
	local.Close()
}
