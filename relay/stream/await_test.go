// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/stream"
)

// called tells whether a direction was called back by a deadline in the past.
func called(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// waiting is a way to wait for a local connection and for a stream.
type waiting struct {
	local  func(net.Conn)
	stream func(*stream.Stream)
}

var awaiting = waiting{local: stream.Await, stream: (*stream.Stream).Await}

// outward sends what a local connection says; each time it is called back it awaits.
func outward(s *stream.Stream, local net.Conn, wait waiting) error {
	for {
		_, err := s.SendFrom(local, nil)
		if !called(err) {
			return err
		}
		_ = local.SetReadDeadline(time.Time{})
		wait.local(local)
	}
}

// inward delivers what the other side says, in the same way.
func inward(s *stream.Stream, local *net.TCPConn, wait waiting) error {
	for {
		_, err := s.DeliverTo(local, nil)
		if !called(err) {
			return errors.Join(err, local.CloseWrite())
		}
		if err := s.SetReadDeadline(time.Time{}); err != nil {
			return err
		}
		if s.Drained() {
			wait.stream(s)
		}
	}
}

// A lost wake-up shows as a message that never arrives. Messages are of all sizes,
// the last comes together with the end, and readers are called back at random.
func TestNoArrivalIsMissed(t *testing.T) { missNone(t, awaiting) }

func missNone(t *testing.T, wait waiting) {
	rounds := 200
	if testing.Short() {
		rounds = 50
	}
	var all sync.WaitGroup
	for range 4 {
		fromApp, app := tcpPair(t)
		target, toTarget := tcpPair(t)
		p := newPair(t, setup{listener: func(s *stream.Stream) {
			splice(t, s, toTarget.(*net.TCPConn), wait)
		}})
		s := p.dialer.open(t)
		all.Go(func() { splice(t, s, fromApp.(*net.TCPConn), wait) })
		all.Go(func() {
			_, _ = io.Copy(target, target)
			_ = target.(*net.TCPConn).CloseWrite()
		})
		all.Go(func() { converse(t, app.(*net.TCPConn), rounds) })
	}
	all.Wait()
}

func TestWhatTLSHoldsIsNotAwaited(t *testing.T) {
	accepted := make(chan *stream.Stream, 1)
	p := newPair(t, setup{listener: func(s *stream.Stream) { accepted <- s }})
	s := p.dialer.open(t)
	defer s.Close()
	write := func(text string) {
		if _, err := s.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	theirs := <-accepted
	defer theirs.Close()
	begun := time.Now()
	_ = theirs.SetReadDeadline(begun.Add(patience))
	for _, text := range []string{"one", "two", "six"} {
		if theirs.Drained() {
			theirs.Await()
		}
		var got [3]byte
		if _, err := io.ReadFull(theirs, got[:]); err != nil || string(got[:]) != text {
			t.Fatalf("read %q, %v instead of %q", got, err, text)
		}
		if text == "one" { // nobody reads now, so that one read of the socket takes both
			write("two")
			write("six")
		}
	}
	if time.Since(begun) >= patience {
		t.Fatal("it was awaited")
	}
	if !theirs.Drained() {
		t.Fatal("all was read, but Drained denies it")
	}
}

// splice passes bytes between a stream and a connection, and calls the readers back
// all the time.
func splice(t *testing.T, s *stream.Stream, local *net.TCPConn, wait waiting) {
	var both sync.WaitGroup
	for _, way := range []func() error{func() error { return outward(s, local, wait) }, func() error { return inward(s, local, wait) }} {
		both.Go(func() {
			if err := way(); err != nil {
				t.Error("passing bytes:", err)
			}
		})
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			_ = local.SetReadDeadline(time.Unix(1, 0))
			_ = s.SetReadDeadline(time.Unix(1, 0))
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(rand.N(2000)) * time.Microsecond):
			}
		}
	}()
	both.Wait()
	close(stop)
	<-stopped
	s.Close()
}

// converse sends messages to an echo, one after another, and then the end.
func converse(t *testing.T, app *net.TCPConn, rounds int) {
	_ = app.SetDeadline(time.Now().Add(2 * patience))
	for n := range rounds {
		size := 1 + rand.N(200)
		if n%50 == 49 {
			size = 1 + rand.N(300_000)
		}
		message, got := random(size), make([]byte, size)
		var sent sync.WaitGroup
		sent.Go(func() {
			if _, err := app.Write(message); err != nil {
				t.Error(err)
			}
			if n == rounds-1 {
				_ = app.CloseWrite()
			}
		})
		_, err := io.ReadFull(app, got)
		sent.Wait()
		if err != nil || !bytes.Equal(got, message) {
			t.Errorf("message %d of %d bytes did not come back: %v", n, size, err)
			return
		}
		for range rand.N(3) {
			runtime.Gosched() // so that messages meet readers in all their states
		}
	}
	if rest, err := io.ReadAll(app); err != nil || len(rest) > 0 {
		t.Errorf("after the last message: %d bytes, %v", len(rest), err)
	}
}
