// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/stream"
)

// pipes is a listener without a network, so that a bubble's clock can be waited for: what is written
// to one of its connections waits until the other side reads.
type pipes struct {
	come chan net.Conn
	done chan struct{}
	once sync.Once
}

func newPipes() *pipes { return &pipes{come: make(chan net.Conn), done: make(chan struct{})} }

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.come:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

// Addr implements net.Listener.
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 8443} }

// watched is bravo's end of a connection.
type watched struct {
	net.Conn
	closed atomic.Bool
}

// Close implements net.Conn.
func (w *watched) Close() error {
	w.closed.Store(true)
	return w.Conn.Close()
}

// slow is bravo in a bubble, and alfa's relay, which does with bravo's link port what it likes.
type slow struct {
	*side
	pipes *pipes
	// others is alfa's CA, and leaf what it shows.
	others *testca.CA
	leaf   testca.Pair
	// took is the longest body of which bravo's handler read something, in bytes; working the
	// requests that it has not answered.
	took, working atomic.Int64
}

// answerBytes is how long each answer of bravo is.
const answerBytes = 1 << 20

func newSlow(t *testing.T) *slow {
	t.Helper()
	s := &slow{pipes: newPipes()}
	s.side = newSideOn(t, "bravo", s.pipes)
	alfa := &side{ca: testca.New(t, "alfa.example")}
	s.expects(t, "alfa", alfa)
	s.others, s.leaf = alfa.ca, alfa.ca.Leaf(t, testca.Leaf{Path: "/relay"})
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.working.Add(1)
		defer s.working.Add(-1)
		n, err := io.Copy(io.Discard, r.Body)
		s.took.Store(max(s.took.Load(), n))
		if err != nil {
			http.Error(w, "no", http.StatusBadRequest)
			return
		}
		// A bubble's clock stands still while somebody waits for a mutex, as the stream's own reader does
		// for the one of an answer that nobody takes.
		<-time.After(time.Millisecond)
		_, _ = io.WriteString(w, strings.Repeat("x", answerBytes))
	})
	s.special.Store(&answer)
	return s
}

// connect opens a connection to bravo's link port, without a handshake.
func (s *slow) connect(t *testing.T) (ours net.Conn, theirs *watched) {
	t.Helper()
	ours, below := net.Pipe()
	t.Cleanup(func() { ours.Close() })
	theirs = &watched{Conn: below}
	s.pipes.come <- theirs
	return ours, theirs
}

// dial opens an authenticated connection of a class.
func (s *slow) dial(t *testing.T, class link.Class) (*tls.Conn, *watched) {
	t.Helper()
	below, theirs := s.connect(t)
	conn := tls.Client(below, &tls.Config{
		Certificates: []tls.Certificate{s.leaf.TLS()}, InsecureSkipVerify: true, NextProtos: []string{string(class)},
	})
	if err := conn.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return conn, theirs
}

// begin opens what carries one request, and returns bravo's end of the connection under it.
func (s *slow) begin(t *testing.T, class link.Class) (request net.Conn, theirs *watched) {
	t.Helper()
	conn, theirs := s.dial(t, class)
	if class == link.PlainFeed {
		return conn, theirs
	}
	c, err := stream.Client(conn, stream.Hello{Address: "bravo.example:8443"}, stream.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Cut)
	st, err := c.Open()
	if err != nil {
		t.Fatal(err)
	}
	return st, theirs
}

// attacks on one request. Each goes on until bravo ends the connection.
var attacks = map[string]func(w io.Writer, path string){
	"a_header_byte_by_byte": func(w io.Writer, path string) {
		fmt.Fprintf(w, "POST %s HTTP/1.1\r\nHost: x\r\nX: ", path)
		drip(w, "a")
	},
	"a_header_at_full_speed": func(w io.Writer, path string) {
		fmt.Fprintf(w, "POST %s HTTP/1.1\r\nHost: x\r\nX: ", path)
		flood(w, strings.Repeat("a", 1<<10))
	},
	"a_header_that_stops": func(w io.Writer, path string) { fmt.Fprintf(w, "POST %s HT", path) },
	"a_body_byte_by_byte": func(w io.Writer, path string) {
		fmt.Fprintf(w, "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", path)
		drip(w, "1\r\na\r\n")
	},
	"a_body_at_full_speed": func(w io.Writer, path string) {
		fmt.Fprintf(w, "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", path)
		flood(w, "2000\r\n"+strings.Repeat("a", 0x2000)+"\r\n")
	},
	"a_body_that_stops": func(w io.Writer, path string) {
		fmt.Fprintf(w, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc", path)
	},
	"a_chunk_whose_length_never_ends": func(w io.Writer, path string) {
		fmt.Fprintf(w, "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;", path)
		flood(w, strings.Repeat("a", 1<<10))
	},
	"a_body_for_a_path_that_is_refused": func(w io.Writer, _ string) {
		fmt.Fprint(w, "POST /other HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
		drip(w, "1\r\na\r\n")
	},
	"a_short_body_that_stops": func(w io.Writer, path string) {
		fmt.Fprintf(w, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc", path)
	},
	"a_short_body_byte_by_byte": func(w io.Writer, path string) {
		fmt.Fprintf(w, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", path)
		drip(w, "a")
	},
	"a_short_request_whose_stream_never_ends": func(w io.Writer, path string) {
		fmt.Fprintf(w, "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc", path)
	},
	"an_answer_that_is_never_read": func(w io.Writer, path string) {
		fmt.Fprintf(w, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	},
}

// drip writes a text each second until that fails.
func drip(w io.Writer, text string) {
	for {
		if _, err := io.WriteString(w, text); err != nil {
			return
		}
		<-time.After(time.Second)
	}
}

// flood writes a text again and again until that fails.
func flood(w io.Writer, text string) {
	for {
		if _, err := io.WriteString(w, text); err != nil {
			return
		}
	}
}

// bounds of the classes, as the package states them: of a request and its answer, and of its body.
var bounds = map[link.Class]struct {
	path        string
	read, write time.Duration
	body        int64
}{
	link.Hotline:   {link.PathHotline, 30 * time.Second, time.Minute, 5 << 20},
	link.Probe:     {link.PathOffer, 10 * time.Second, 20 * time.Second, 128 << 10},
	link.Feed:      {link.PathTAXII, 30 * time.Second, 5 * time.Minute, 1 << 20},
	link.PlainFeed: {link.PathTAXII, 30 * time.Second, 5 * time.Minute, 1 << 20},
}

// parting is how long a connection may last after its request has ended: the other side has ten
// seconds to end its direction of a stream, and TLS five to take our last record.
const parting = 16 * time.Second

func TestAHostileRequestEndsWithinTheBoundsOfItsClass(t *testing.T) {
	for class, bound := range bounds {
		for name, attack := range attacks {
			for reading, limit := range map[string]time.Duration{
				"and_reads":         bound.read + parting,
				"and_reads_nothing": min(bound.read, 10*time.Second) + bound.write + parting,
			} {
				if reading == "and_reads" && name == "an_answer_that_is_never_read" {
					continue
				}
				t.Run(strings.Join([]string{strings.ReplaceAll(string(class), "/", "_"), name, reading}, "/"), func(t *testing.T) {
					testbubble.Run(t, func(t *testing.T) {
						s := newSlow(t)
						request, theirs := s.begin(t, class)
						doing := []func(){func() { attack(request, bound.path) }}
						if reading == "and_reads" {
							doing = append(doing, func() {
								<-time.After(time.Millisecond) // what is written first opens the stream
								_, _ = io.Copy(io.Discard, request)
							})
						}
						endsWithin(t, limit, theirs, doing...)
						s.tookAtMost(t, bound.body)
					})
				})
			}
		}
	}
}

// endsWithin fails unless bravo closes a connection in time, whatever the other side does meanwhile.
func endsWithin(t *testing.T, limit time.Duration, theirs *watched, doing ...func()) {
	t.Helper()
	var group sync.WaitGroup
	for _, do := range doing {
		group.Go(do)
	}
	for begun := time.Now(); !theirs.closed.Load() && time.Since(begun) <= limit; {
		<-time.After(time.Second)
	}
	if !theirs.closed.Load() {
		t.Errorf("after %s the connection is open", limit)
	}
	theirs.Close() // whatever else waits for it
	group.Wait()
}

// tookAtMost fails unless nothing is under way at bravo, and it took no more of a body.
func (s *slow) tookAtMost(t *testing.T, body int64) {
	t.Helper()
	<-time.After(time.Second) // what served the request sees its end
	if n := s.working.Load(); n != 0 {
		t.Errorf("%d requests are under way", n)
	}
	if n := s.took.Load(); n > body {
		t.Errorf("bravo took %d bytes of a body, and may %d", n, body)
	}
}
