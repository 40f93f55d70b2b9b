// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/stream"
)

// slowLine delays what is written, in order.
type slowLine struct {
	net.Conn
	delay time.Duration
	hold  *sync.Mutex // nothing passes while somebody has it
	queue chan parcel
	once  sync.Once
	done  chan struct{}
}

type parcel struct {
	due  time.Time
	data []byte
}

func newSlowLine(conn net.Conn, delay time.Duration) *slowLine {
	return newLine(conn, delay, new(sync.Mutex))
}

func newLine(conn net.Conn, delay time.Duration, hold *sync.Mutex) *slowLine {
	l := &slowLine{Conn: conn, delay: delay, hold: hold, queue: make(chan parcel, 1000), done: make(chan struct{})}
	go l.run()
	return l
}

func (l *slowLine) run() {
	for {
		select {
		case p := <-l.queue:
			<-time.After(time.Until(p.due))
			l.hold.Lock()
			l.hold.Unlock()
			if _, err := l.Conn.Write(p.data); err != nil {
				return
			}
		case <-l.done:
			return
		}
	}
}

func (l *slowLine) Write(p []byte) (int, error) {
	select {
	case l.queue <- parcel{time.Now().Add(l.delay), append([]byte(nil), p...)}:
		return len(p), nil
	case <-l.done:
		return 0, net.ErrClosed
	}
}

func (l *slowLine) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Conn.Close()
}

func TestWhenBothOpenAtOnceTheSideThatDialledWins(t *testing.T) {
	for name, writeFirst := range map[string]int{"dialler writes first": 0, "listener writes first": 1} {
		t.Run(name, func(t *testing.T) {
			var delivered atomic.Int32
			var hold sync.Mutex
			p := newPair(t, setup{
				listener: echo,
				dialer:   func(s *stream.Stream) { delivered.Add(1); s.Close() },
				between:  func(c net.Conn) net.Conn { return newLine(c, time.Millisecond, &hold) },
			})
			hold.Lock() // until both have sent, however long that takes
			ours, theirs := p.dialer.open(t), p.listener.open(t)
			order := []*stream.Stream{ours, theirs}
			for i := range order {
				if _, err := order[(i+writeFirst)%2].Write([]byte("to be or")); err != nil {
					t.Error(err)
				}
			}
			hold.Unlock()
			_ = theirs.CloseWrite()
			if _, err := io.ReadAll(theirs); !errors.Is(err, stream.ErrGlare) {
				t.Fatalf("the loser got %v", err)
			}
			if _, err := theirs.Write([]byte("x")); !errors.Is(err, stream.ErrGlare) {
				t.Fatalf("the loser wrote: %v", err)
			}
			theirs.Close()
			_ = ours.CloseWrite()
			b, err := io.ReadAll(ours)
			if err != nil || string(b) != "to be or" {
				t.Fatalf("the winner got %q, %v", b, err)
			}
			ours.Close()
			p.dialer.isParked(t)
			p.listener.isParked(t)
			if delivered.Load() != 0 {
				t.Fatal("the losing stream was delivered")
			}
			exchange(t, p.dialer.open(t), []byte("the connection goes on"))
		})
	}
}

func TestAStreamWhoseOpenHasNotLeftYields(t *testing.T) {
	p := newPair(t, setup{dialer: echo})
	idle := p.dialer.open(t)
	exchange(t, p.listener.open(t), []byte("mine was first on the line"))
	if _, err := idle.Write([]byte("x")); !errors.Is(err, stream.ErrGlare) {
		t.Fatal(err)
	}
	idle.Close()
	p.dialer.isParked(t)
}

// Both sides open whenever they can. Every stream either echoes its bytes or fails
// with ErrGlare or ErrBusy, and the connection survives.
func TestRandomGlareLosesNothing(t *testing.T) {
	for _, delay := range []time.Duration{0, time.Millisecond} {
		between := func(c net.Conn) net.Conn { return c }
		if delay > 0 {
			between = func(c net.Conn) net.Conn { return newSlowLine(c, delay) }
		}
		p := newPair(t, setup{dialer: echo, listener: echo, between: between})
		var wg sync.WaitGroup
		var good, glare atomic.Int32
		for _, e := range []*end{p.dialer, p.listener} {
			wg.Go(func() {
				for good.Load() < 300 {
					switch err := attempt(e); {
					case err == nil:
						good.Add(1)
					case errors.Is(err, stream.ErrGlare):
						glare.Add(1)
					case errors.Is(err, stream.ErrBusy):
						runtime.Gosched()
					default:
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		if p.dialer.Err() != nil || p.listener.Err() != nil || good.Load() == 0 {
			t.Fatal(p.dialer.Err(), p.listener.Err(), good.Load())
		}
		t.Logf("delay %s: %d exchanges, %d lost by glare", delay, good.Load(), glare.Load())
	}
}

func attempt(e *end) error {
	s, err := e.Open()
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := s.Write([]byte("question")); err != nil {
		return err
	}
	if err := s.CloseWrite(); err != nil {
		return err
	}
	b, err := io.ReadAll(s)
	if err == nil && string(b) != "question" {
		return errors.New("a wrong echo: " + string(b))
	}
	return err
}
