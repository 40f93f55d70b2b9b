// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/gate"
	"github.com/certlink/certlink/relay/link"
)

// handshaking is how long a connection has for its handshake, and a framed one after that for its HELLO.
const handshaking = 6 * time.Second

func TestWhoDoesNotFinishTheHandshakeIsCutOff(t *testing.T) {
	for name, attack := range map[string]func(net.Conn, *watched){
		"and_says_nothing":         func(net.Conn, *watched) {},
		"and_says_it_byte_by_byte": func(c net.Conn, _ *watched) { _, _ = c.Write([]byte{22, 3, 1, 2, 0, 1, 0}); drip(c, "a") },
		"and_never_ends_its_record": func(c net.Conn, _ *watched) {
			flood(c, "\x16\x03\x01\x40\x00\x01\x00\xff\xff"+strings.Repeat("a", 1<<14-4))
		},
		"and_reads_nothing": func(c net.Conn, theirs *watched) {
			_ = tls.Client(deaf{c, theirs}, &tls.Config{InsecureSkipVerify: true}).Handshake()
		},
		"and_is_nobody": func(c net.Conn, _ *watched) {
			_ = tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Handshake()
			_, _ = io.Copy(io.Discard, c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) {
				s := newSlow(t)
				ours, theirs := s.connect(t)
				endsWithin(t, handshaking, theirs, func() { attack(ours, theirs) })
			})
		})
	}
}

// deaf takes nothing of what the other side writes until that closes.
type deaf struct {
	net.Conn
	theirs *watched
}

// Read implements net.Conn.
func (d deaf) Read([]byte) (int, error) {
	for !d.theirs.closed.Load() {
		<-time.After(100 * time.Millisecond)
	}
	return 0, net.ErrClosed
}

func TestWhoDoesNotSayHELLOIsCutOff(t *testing.T) {
	for name, attack := range map[string]func(net.Conn){
		"and_says_nothing":         func(net.Conn) {},
		"and_says_it_byte_by_byte": func(c net.Conn) { drip(c, "\x00") },
	} {
		t.Run(name, func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) {
				s := newSlow(t)
				conn, theirs := s.dial(t, link.Hotline)
				endsWithin(t, handshaking+parting, theirs, func() { attack(conn) })
			})
		})
	}
}

func TestThePlacesOfHostileRequestsAreGivenBack(t *testing.T) {
	const held = 32
	for _, class := range []link.Class{link.Hotline, link.Feed, link.PlainFeed} {
		t.Run(strings.ReplaceAll(string(class), "/", "_"), func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) {
				s, bound := newSlow(t), bounds[class]
				for range held {
					request, _ := s.begin(t, class)
					go attacks["a_short_body_that_stops"](request, bound.path)
				}
				<-time.After(time.Second)
				if n := s.working.Load(); n != held {
					t.Fatalf("%d requests are under way, want %d", n, held)
				}
				if _, theirs := s.dial(t, class); !closes(theirs) {
					t.Fatal("the test needs all places to be taken")
				}
				<-time.After(bound.read + bound.write + parting)
				for range held {
					request, _ := s.begin(t, class)
					fmt.Fprintf(request, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", bound.path)
					answer, err := http.ReadResponse(bufio.NewReader(request), nil)
					if err != nil || answer.StatusCode != http.StatusOK {
						t.Fatalf("answer %v: %v", answer, err)
					}
				}
			})
		})
	}
}

// closes tells whether bravo closes a connection that it has no place for. TLS has five seconds to
// say so to who does not read.
func closes(theirs *watched) bool {
	<-time.After(5500 * time.Millisecond)
	return theirs.closed.Load()
}

func TestHandshakesThatDoNotEndGiveTheirPlacesBack(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		s := newSlow(t)
		for range gate.DefaultPerSource {
			s.connect(t)
		}
		_, theirs := s.connect(t)
		<-time.After(time.Millisecond)
		if !theirs.closed.Load() {
			t.Fatal("the test needs all places to be taken")
		}
		<-time.After(handshaking)
		s.dial(t, link.Hotline)
	})
}
