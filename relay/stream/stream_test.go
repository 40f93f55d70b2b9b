// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/stream"
)

func ends(p *pair) map[string][2]*end {
	return map[string][2]*end{"dialled side opens": {p.dialer, p.listener}, "listening side opens": {p.listener, p.dialer}}
}

func random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

func exchange(t testing.TB, s *stream.Stream, request []byte) {
	t.Helper()
	go func() {
		if _, err := s.Write(request); err != nil {
			t.Error(err)
		}
		if err := s.CloseWrite(); err != nil {
			t.Error(err)
		}
	}()
	answer, err := io.ReadAll(s)
	if err != nil || !bytes.Equal(answer, request) {
		t.Fatalf("%d of %d bytes came back: %v", len(answer), len(request), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAnExchangeGoesOverAParkedConnection(t *testing.T) {
	p := newPair(t, setup{dialer: echo, listener: echo})
	for name, e := range ends(p) {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{1, 64, 1024, 16 << 10, stream.MaxData, stream.MaxData + 1, 1 << 20} {
				exchange(t, e[0].open(t), random(size))
				e[0].isParked(t)
				e[1].isParked(t)
			}
		})
	}
}

func TestOneConnectionCarriesAThousandStreams(t *testing.T) {
	p := newPair(t, setup{dialer: echo, listener: echo})
	for i := range 1000 {
		e, other := p.dialer, p.listener
		if i%3 == 0 {
			e, other = other, e
		}
		exchange(t, e.open(t), fmt.Appendf(nil, "exchange %d", i))
		e.isParked(t)
		other.isParked(t)
	}
	if p.dialer.Err() != nil || p.listener.Err() != nil {
		t.Fatal(p.dialer.Err(), p.listener.Err())
	}
}

func TestABusyConnectionOpensNoSecondStream(t *testing.T) {
	p := newPair(t, setup{})
	s := p.dialer.open(t)
	if _, err := p.dialer.Open(); !errors.Is(err, stream.ErrBusy) {
		t.Fatal(err)
	}
	s.Close() // the other side never heard of it
	p.dialer.isParked(t)
	if p.dialer.Busy() {
		t.Fatal("it is busy")
	}
	p.dialer.Cut()
	if _, err := p.dialer.Open(); !errors.Is(err, stream.ErrClosed) {
		t.Fatal(err)
	}
}

func TestEachDirectionEndsByItself(t *testing.T) {
	release := make(chan struct{})
	p := newPair(t, setup{listener: func(s *stream.Stream) {
		defer s.Close()
		_, _ = s.Write([]byte("late"))
		_ = s.CloseWrite()
		<-release
		b, _ := io.ReadAll(s)
		if string(b) != "more" {
			t.Errorf("%q after our END", b)
		}
	}})
	s := p.dialer.open(t)
	b, err := io.ReadAll(s)
	if err != nil || string(b) != "late" {
		t.Fatal(string(b), err)
	}
	if _, err := s.Write([]byte("more")); err != nil {
		t.Fatal(err)
	}
	close(release)
	s.Close()
	p.dialer.isParked(t)
	p.listener.isParked(t)
}

func TestWhatIsWrittenLastEndsTheDirectionInOneWrite(t *testing.T) {
	sizes, wrote := make(chan int, 1), make(chan uint64, 1)
	answer := random(2 * stream.MaxData)
	p := newPair(t, setup{listener: func(s *stream.Stream) {
		defer s.Close()
		_, _ = io.ReadFull(s, make([]byte, 1))
		before := s.Conn().Writes()
		if err := s.WriteLast(answer[:<-sizes]); err != nil {
			t.Error(err)
		}
		wrote <- (s.Conn().Writes() - before) / 2 // each counts at its beginning and at its end
		if _, err := s.Write([]byte("more")); err == nil {
			t.Error("more was written")
		}
	}})
	for size, writes := range map[int]uint64{0: 1, 1: 1, 3000: 1, len(answer): 3} {
		s := p.dialer.open(t)
		sizes <- size
		if _, err := s.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(s)
		if n := <-wrote; err != nil || !bytes.Equal(got, answer[:size]) || n != writes {
			t.Errorf("%d of %d bytes came in %d writes: %v", len(got), size, n, err)
		}
		s.Close()
		p.dialer.isParked(t)
		p.listener.isParked(t)
	}
}

func TestAReadDeadlinePassesAndTheStreamGoesOn(t *testing.T) {
	p := newPair(t, setup{listener: echo})
	s := p.dialer.open(t)
	for range 3 {
		_ = s.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	_ = s.SetReadDeadline(time.Time{})
	exchange(t, s, []byte("after the deadline"))
	p.dialer.isParked(t)
	exchange(t, p.dialer.open(t), []byte("the next"))
}

func TestACloseCallsTheReaderBack(t *testing.T) {
	p := newPair(t, setup{listener: echo})
	s := p.dialer.open(t)
	_, _ = s.Write([]byte("x"))
	_, _ = io.ReadFull(s, make([]byte, 1))
	read := make(chan error, 1)
	go func() {
		_, err := s.Read(make([]byte, 1))
		read <- err
	}()
	time.AfterFunc(5*time.Millisecond, func() { s.Close() })
	if err := <-read; !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	p.dialer.isParked(t)
	exchange(t, p.dialer.open(t), []byte("the next"))
}
