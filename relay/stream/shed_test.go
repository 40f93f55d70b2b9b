// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/stream"
)

// If this fails after an upgrade of Go, connections at rest hold 6 KiB and more each:
// see shed.go.
func TestTheBuffersOfTLSAreThoseThatWeKnow(t *testing.T) {
	if !stream.BuffersKnown() {
		t.Fatal("crypto/tls.Conn has other fields now")
	}
}

func TestAStreamAtRestHoldsNoBufferOfTLS(t *testing.T) {
	accepted := make(chan *stream.Stream, 1)
	p := newPair(t, setup{listener: func(s *stream.Stream) { accepted <- s }})
	s := p.dialer.open(t)
	bulk := random(300_000)
	sent := make(chan error, 1)
	go func() { _, err := s.Write(bulk); sent <- err }()
	theirs := <-accepted
	got := make([]byte, len(bulk))
	if _, err := io.ReadFull(theirs, got); err != nil || !bytes.Equal(got, bulk) {
		t.Fatal("the bytes did not arrive:", err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	before := theirs.Conn().Held()
	if !theirs.Drained() {
		t.Fatal("all was read, but Drained denies it")
	}
	if held := theirs.Conn().Held(); held != 0 || before == 0 {
		t.Errorf("at rest it holds %d bytes, before %d", held, before)
	}
	go func() { _, err := s.Write(bulk); sent <- err }()
	if _, err := io.ReadFull(theirs, got); err != nil || !bytes.Equal(got, bulk) {
		t.Fatal("after the rest the bytes did not arrive:", err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	_, _ = s.Close(), theirs.Close()
}

// slow passes on one byte of each read, so that records and frames arrive in pieces.
type slow struct{ net.Conn }

func (s slow) Read(p []byte) (int, error) { return s.Conn.Read(p[:min(1, len(p))]) }

// A record of which a part has arrived is no empty buffer.
func TestWhatHasArrivedInPartIsNotShed(t *testing.T) {
	for _, between := range []func(net.Conn) net.Conn{nil, func(c net.Conn) net.Conn { return slow{c} }} {
		p := newPair(t, setup{listener: echo, between: between})
		for n := range 20 {
			s := p.dialer.open(t)
			_ = s.SetDeadline(time.Now().Add(patience))
			message := random(1 + 37*n)
			if _, err := s.Write(message); err != nil {
				t.Fatal(err)
			}
			_ = s.CloseWrite()
			if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, message) {
				t.Fatalf("stream %d: %d bytes, %v", n, len(got), err)
			}
			s.Close()
			p.dialer.isParked(t)
			p.listener.isParked(t)
		}
	}
}
