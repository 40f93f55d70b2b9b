// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/stream"
)

// narrow lets a connection hold few bytes, as a slow line does for its speed.
func narrow(c net.Conn) net.Conn {
	_ = c.(*net.TCPConn).SetWriteBuffer(32 << 10)
	_ = c.(*net.TCPConn).SetReadBuffer(32 << 10)
	return c
}

// sip reads a stream at some 100 kB/s to its end.
func sip(s *stream.Stream) ([]byte, error) {
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	var all []byte
	for {
		<-tick.C
		some := make([]byte, 4<<10)
		n, err := s.Read(some)
		all = append(all, some[:n]...)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}

// What was written before a close is delivered, also when it takes the line longer than
// the close waits, and the connection is used again.
func TestACloseDeliversAtTheSpeedOfTheLine(t *testing.T) {
	type read struct {
		all []byte
		err error
	}
	got := make(chan read, 1)
	p := newPair(t, setup{between: narrow, listener: func(s *stream.Stream) {
		all, err := sip(s)
		got <- read{all, err}
		s.Close()
	}})
	message, sent := random(60_000), make(chan int, 1)
	s := p.dialer.open(t)
	go func() { // a frame after the other: one is always under way
		total := 0
		for {
			n, err := s.Write(message)
			if total += n; err != nil {
				sent <- total
				return
			}
		}
	}()
	<-time.After(500 * time.Millisecond)
	begun := time.Now()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("the close itself took %s", took)
	}
	total := <-sent
	if r := <-got; r.err != nil || !bytes.Equal(r.all, bytes.Repeat(message, total/len(message))) {
		t.Fatalf("%d of %d bytes, %v", len(r.all), total, r.err)
	}
	if took := time.Since(begun); took < time.Second {
		t.Fatalf("the line was too fast for this test: %s", took)
	}
	p.dialer.isParked(t)
	p.listener.isParked(t)
}

// Who takes nothing holds nobody up for long.
func TestACloseGivesUpOnWhoTakesNothing(t *testing.T) {
	release := make(chan struct{})
	p := newPair(t, setup{between: narrow, listener: func(s *stream.Stream) { <-release; s.Close() }})
	defer close(release)
	s := p.dialer.open(t)
	wrote := make(chan error, 1)
	go func() {
		_, err := s.Write(make([]byte, 4<<20))
		wrote <- err
	}()
	stuck(t, p.dialer)
	begun := time.Now()
	s.Close()
	if err := <-wrote; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	p.dialer.isClosed(t)
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("after %s", took)
	}
}

// stuck waits until a write makes no progress: the other side takes nothing, and the socket is full.
// One whose goroutine has merely not run for a while leaves room, through which END would leave.
func stuck(t *testing.T, e *end) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for before := uint64(0); ; {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("the other side takes everything")
		}
		now := e.Writes()
		if now%2 == 1 && now == before && !e.HasRoom() {
			return
		}
		before = now
	}
}
