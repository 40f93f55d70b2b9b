// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/certlink/certlink/relay/stream"
)

// answerAndReadOn answers the first byte of a stream, and then waits itself for the end of it.
func answerAndReadOn(s *stream.Stream) {
	_, _ = io.ReadFull(s, make([]byte, 1))
	_ = s.WriteLast([]byte("answer"))
	_ = s.CloseAndReadOn()
}

func TestWhoClosesAStreamAndReadsOnCarriesTheNext(t *testing.T) {
	p := newPair(t, setup{dialer: answerAndReadOn, listener: answerAndReadOn})
	for round := range 20 {
		for name, e := range ends(p) {
			s := e[0].open(t)
			if _, err := s.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if round%2 > 0 {
				_ = s.CloseWrite() // its END is there before the answer leaves, or after
			}
			if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, []byte("answer")) {
				t.Fatalf("%s, round %d: %q, %v", name, round, got, err)
			}
			s.Close()
			e[0].isParked(t)
			e[1].isParked(t)
		}
	}
}

func TestAConnectionWhoseStreamIsClosedAndDoesNotEndWellEnds(t *testing.T) {
	for name, end := range map[string]func(p *pair, s *stream.Stream){
		"more came": func(_ *pair, s *stream.Stream) { _, _ = s.Write([]byte("more")) },
		"aborted":   func(_ *pair, s *stream.Stream) { s.Abort() },
		"cut":       func(p *pair, _ *stream.Stream) { p.dialer.raw.Close() },
	} {
		closed := make(chan error, 1)
		p := newPair(t, setup{listener: func(s *stream.Stream) {
			_, _ = io.ReadFull(s, make([]byte, 1))
			_ = s.WriteLast([]byte("answer"))
			closed <- s.CloseAndReadOn()
		}})
		s := p.dialer.open(t)
		if _, err := s.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(s); err != nil {
			t.Fatal(err)
		}
		end(p, s)
		if err := <-closed; name != "more came" && err == nil {
			t.Errorf("%s: it was closed well", name)
		}
		if p.listener.isClosed(t) == nil {
			t.Errorf("%s: the connection ended well", name)
		}
	}
}

func TestStreamsThatBothSidesOpenAtOnceAreReadOnAfter(t *testing.T) {
	p := newPair(t, setup{dialer: answerAndReadOn, listener: answerAndReadOn})
	var asking sync.WaitGroup
	for name, e := range ends(p) {
		asking.Go(func() {
			for answers := 0; answers < 200; {
				s, err := e[0].Open()
				if errors.Is(err, stream.ErrBusy) {
					<-e[0].parked
					continue
				}
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				_, err = s.Write([]byte("x"))
				var got []byte
				if err == nil {
					got, err = io.ReadAll(s)
				}
				s.Close()
				switch {
				case errors.Is(err, stream.ErrGlare):
				case err != nil || string(got) != "answer":
					t.Errorf("%s, after %d answers: %q, %v", name, answers, got, err)
					return
				default:
					answers++
				}
			}
		})
	}
	asking.Wait()
}
