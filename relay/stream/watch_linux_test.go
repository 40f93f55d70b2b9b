// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/stream"
)

// sleeper counts how often it is woken.
type sleeper struct {
	woken atomic.Int32
	up    chan struct{}
}

func newSleeper() *sleeper { return &sleeper{up: make(chan struct{}, 8)} }

func (s *sleeper) Wake() {
	s.woken.Add(1)
	s.up <- struct{}{}
}

func (s *sleeper) wakes(t *testing.T) {
	t.Helper()
	select {
	case <-s.up:
	case <-time.After(patience):
		t.Fatal("it sleeps on")
	}
}

func newWatch(t *testing.T) *stream.Watch {
	t.Helper()
	w, err := stream.NewWatch()
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.Run(); err != nil {
			t.Error("watching:", err)
		}
	})
	t.Cleanup(func() {
		w.Close()
		running.Wait()
	})
	return w
}

func lie(t *testing.T, w *stream.Watch, conn net.Conn) (*sleeper, stream.Bed) {
	t.Helper()
	s := newSleeper()
	bed, err := w.Add(conn, s)
	if err != nil {
		t.Fatal(err)
	}
	return s, bed
}

func say(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
}

// The same as for Await, with messages that meet sleepers in all their states.
func TestNoArrivalIsMissedByAWatch(t *testing.T) {
	w := newWatch(t)
	asleep := func(add func(stream.Sleeper) (stream.Bed, error)) {
		s := newSleeper()
		if _, err := add(s); err == nil {
			s.wakes(t)
		} // or the connection is closed, and who reads sees it
	}
	missNone(t, waiting{
		local:  func(c net.Conn) { asleep(func(s stream.Sleeper) (stream.Bed, error) { return w.Add(c, s) }) },
		stream: func(st *stream.Stream) { asleep(func(s stream.Sleeper) (stream.Bed, error) { return st.Watch(w, s) }) },
	})
}

func TestASleeperIsWokenOnce(t *testing.T) {
	w := newWatch(t)
	for name, happen := range map[string]func(conn net.Conn){
		"a byte":     func(c net.Conn) { say(t, c); say(t, c) },
		"an end":     func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite() },
		"a reset":    func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); c.Close() },
		"everything": func(c net.Conn) { say(t, c); c.Close() },
	} {
		here, there := tcpPair(t)
		s, bed := lie(t, w, here)
		happen(there)
		s.wakes(t)
		if w.Remove(bed) {
			t.Errorf("%s: who was woken could be woken again", name)
		}
		again, _ := lie(t, w, here) // it was not read
		again.wakes(t)
		if n := s.woken.Load() + again.woken.Load(); n != 2 {
			t.Errorf("%s: woken %d times, not twice", name, n)
		}
	}
}

func TestWhatCameBeforeTheSleepWakes(t *testing.T) {
	w := newWatch(t)
	here, there := tcpPair(t)
	say(t, there)
	s, _ := lie(t, w, here)
	s.wakes(t)
}

func TestARemovedSleeperSleeps(t *testing.T) {
	w := newWatch(t)
	here, there := tcpPair(t)
	s, bed := lie(t, w, here)
	if !w.Remove(bed) || w.Remove(bed) {
		t.Fatal("a sleeper can be removed once")
	}
	say(t, there)
	other, _ := lie(t, w, here) // in the same bed
	other.wakes(t)
	if s.woken.Load() != 0 || w.Remove(bed) {
		t.Error("the removed one was woken")
	}
}

// The kernel gives the number of a closed socket to the next one.
func TestAClosedConnectionIsNotMistakenForTheNext(t *testing.T) {
	w := newWatch(t)
	for range 50 {
		here, _ := tcpPair(t)
		s, bed := lie(t, w, here)
		here.Close()
		next, there := tcpPair(t)
		second, _ := lie(t, w, next)
		say(t, there)
		second.wakes(t)
		if s.woken.Load() != 0 {
			t.Fatal("the sleeper of a closed connection was woken by another")
		}
		if !w.Remove(bed) {
			t.Fatal("the sleeper of a closed connection is lost")
		}
	}
}

func TestTheEndOfAWatchWakesAll(t *testing.T) {
	w, err := stream.NewWatch()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- w.Run() }()
	var all []*sleeper
	here, _ := tcpPair(t)
	for range 3 {
		conn, _ := tcpPair(t)
		s, _ := lie(t, w, conn)
		all = append(all, s)
	}
	w.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for _, s := range all {
		s.wakes(t)
	}
	if _, err := w.Add(here, newSleeper()); err == nil {
		t.Error("a watch that has ended takes sleepers")
	}
}

func TestHundredsWakeAtOnce(t *testing.T) {
	w := newWatch(t)
	const many = 300 // more than one call of the kernel returns
	var sleepers []*sleeper
	var others []net.Conn
	for range many {
		here, there := tcpPair(t)
		s, _ := lie(t, w, here)
		sleepers, others = append(sleepers, s), append(others, there)
	}
	var saying sync.WaitGroup
	for _, c := range others {
		saying.Go(func() { say(t, c) })
	}
	saying.Wait()
	for _, s := range sleepers {
		s.wakes(t)
	}
}
