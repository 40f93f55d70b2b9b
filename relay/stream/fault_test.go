// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/stream"
)

func TestACutInTheMiddleIsNoEnd(t *testing.T) {
	for name, cut := range map[string]func(*pair){
		"the socket of the other side dies": func(p *pair) { p.listener.raw.Close() },
		"the other side cuts":               func(p *pair) { p.listener.Cut() },
		"we cut":                            func(p *pair) { p.dialer.Cut() },
	} {
		t.Run(name, func(t *testing.T) {
			began := make(chan struct{})
			p := newPair(t, setup{listener: func(s *stream.Stream) {
				defer s.Close()
				_, _ = s.Write([]byte("half"))
				close(began)
				_, _ = s.Read(make([]byte, 1))
			}})
			s := p.dialer.open(t)
			if _, err := io.ReadFull(s, make([]byte, 4)); err != nil {
				t.Fatal(err)
			}
			<-began
			told := make(chan struct{})
			s.AfterFail(func() { close(told) })
			go cut(p)
			if _, err := s.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
				t.Fatalf("a cut reads as %v", err)
			}
			<-told
			p.dialer.isClosed(t)
			p.listener.isClosed(t)
			if _, err := s.Write([]byte("x")); err == nil {
				t.Fatal("a write went nowhere")
			}
			<-p.dialer.Done()
			if p.dialer.Err() == nil || s.Err() == nil {
				t.Fatal("no reason")
			}
		})
	}
}

func TestACutIsNoticedAfterTheOtherSidesEnd(t *testing.T) {
	p := newPair(t, setup{listener: func(s *stream.Stream) { _ = s.CloseWrite() }})
	s := p.dialer.open(t)
	if _, err := io.ReadAll(s); err != nil {
		t.Fatal(err)
	}
	told := make(chan struct{})
	s.AfterFail(func() { close(told) })
	p.listener.Cut()
	select {
	case <-told:
	case <-time.After(patience):
		t.Fatal("nobody noticed")
	}
}

func TestWhatNobodyReadIsNoSuccess(t *testing.T) {
	p := newPair(t, setup{listener: func(s *stream.Stream) {
		_, _ = s.Read(make([]byte, 1))
		s.Close() // with the rest unread
	}})
	s := p.dialer.open(t)
	_, _ = s.Write(make([]byte, 1000))
	_ = s.CloseWrite()
	if err := p.listener.isClosed(t); err == nil {
		t.Fatal("it ended without a reason")
	}
	_ = s.Close()
	p.dialer.isClosed(t)
}

func TestDataForAClosedStreamAbortsIt(t *testing.T) {
	p := newPair(t, setup{listener: func(s *stream.Stream) {
		defer s.Close()
		for {
			if _, err := s.Write(make([]byte, 1000)); err != nil {
				return
			}
		}
	}})
	s := p.dialer.open(t)
	_, _ = s.Read(make([]byte, 1))
	s.Close()
	p.dialer.isClosed(t)
	p.listener.isClosed(t)
}

func TestAnAbortReachesTheOtherSide(t *testing.T) {
	failed := make(chan error, 1)
	p := newPair(t, setup{listener: func(s *stream.Stream) {
		defer s.Close()
		_, err := io.ReadAll(s)
		failed <- err
	}})
	s := p.dialer.open(t)
	_, _ = s.Write([]byte("x"))
	s.Abort()
	if err := <-failed; err == nil {
		t.Fatal("an aborted stream ended well")
	}
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
}

func TestAWriteDeadlineEndsTheConnection(t *testing.T) {
	release := make(chan struct{})
	p := newPair(t, setup{listener: func(s *stream.Stream) { <-release; s.Close() }})
	defer close(release)
	s := p.dialer.open(t)
	_ = s.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	var err error
	for err == nil {
		_, err = s.Write(make([]byte, 1<<20))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	p.dialer.isClosed(t)
}

func TestACloseFreesABlockedWriter(t *testing.T) {
	release := make(chan struct{})
	p := newPair(t, setup{listener: func(s *stream.Stream) { <-release; s.Close() }})
	defer close(release)
	s := p.dialer.open(t)
	wrote := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			_, err = s.Write(make([]byte, 1<<20))
		}
		wrote <- err
	}()
	time.AfterFunc(50*time.Millisecond, func() { s.Close() })
	if err := <-wrote; !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
}

func TestAReaderThatDoesNotReadStopsTheSender(t *testing.T) {
	release := make(chan struct{})
	p := newPair(t, setup{listener: func(s *stream.Stream) { <-release; s.Close() }})
	defer close(release)
	s := p.dialer.open(t)
	var sent int
	for range 1000 {
		_ = s.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		n, err := s.Write(make([]byte, 64<<10))
		sent += n
		if err != nil {
			return
		}
	}
	t.Fatalf("%d bytes went to a side that reads nothing", sent)
}

func TestADrainEndsAParkedConnection(t *testing.T) {
	p := newPair(t, setup{listener: echo})
	p.listener.Drain()
	if err := p.dialer.isClosed(t); !errors.Is(err, stream.ErrClosed) {
		t.Fatal(err)
	}
	if err := p.listener.isClosed(t); !errors.Is(err, stream.ErrClosed) {
		t.Fatal(err)
	}
}

func TestADrainWaitsForTheStream(t *testing.T) {
	p := newPair(t, setup{listener: echo})
	s := p.dialer.open(t)
	_, _ = s.Write([]byte("x"))
	_, _ = io.ReadFull(s, make([]byte, 1))
	p.listener.Drain()
	p.dialer.Drain()
	exchange(t, s, []byte("in peace"))
	p.dialer.isClosed(t)
	p.listener.isClosed(t)
}

func TestAnOpenThatMeetsADrainIsRefused(t *testing.T) {
	p := newPair(t, setup{
		listener: func(s *stream.Stream) { t.Error("it was delivered"); s.Close() },
		between:  func(c net.Conn) net.Conn { return newSlowLine(c, 20*time.Millisecond) },
	})
	s := p.dialer.open(t)
	p.listener.Drain()
	_, _ = s.Write([]byte("too late"))
	if _, err := io.ReadAll(s); !errors.Is(err, stream.ErrRefused) {
		t.Fatal(err)
	}
	p.dialer.isClosed(t)
	p.listener.isClosed(t)
}

func TestASideThatTakesNoStreamsRefuses(t *testing.T) {
	p := newPair(t, setup{})
	s := p.dialer.open(t)
	if _, err := io.ReadAll(s); !errors.Is(err, stream.ErrRefused) {
		t.Fatal(err)
	}
}

func TestAPoliteCloseIsNoticed(t *testing.T) {
	p := newPair(t, setup{})
	p.dialer.Close()
	if err := p.listener.isClosed(t); !errors.Is(err, stream.ErrClosed) && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}
