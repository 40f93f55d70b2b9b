// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/stream"
)

// served is a stream of alfa that bravo serves, without a network, so that a bubble's clock can be
// waited for.
type served struct {
	*stream.Stream
	below net.Conn
	// over: bravo serves it no more. ended: the connection has ended at bravo.
	over, ended atomic.Bool
}

func newServed(t *testing.T, bravo *nation) *served {
	t.Helper()
	ca := testca.New(t, "alfa.example")
	leaf, roots := ca.Leaf(t, testca.Leaf{Path: "/relay"}), x509.NewCertPool()
	roots.AddCert(ca.Root)
	ours, theirs := net.Pipe()
	out := &served{below: ours}
	var opening sync.WaitGroup
	opening.Go(func() {
		conn := tls.Server(stream.Under(theirs), &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{leaf.TLS()}})
		_, _, err := stream.Server(conn, stream.Config{
			Accept: func(s *stream.Stream) {
				bravo.engine.Serve(context.Background(), access.Peer{Name: "alfa", TrustDomain: "alfa.example", State: config.Active, Relay: true}, s)
				out.over.Store(true)
			},
			Closed: func(*stream.Conn, error) { out.ended.Store(true) },
		})
		if err != nil {
			t.Error(err)
		}
	})
	conn := tls.Client(stream.Under(ours), &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: "localhost"})
	c, err := stream.Client(conn, stream.Hello{Address: "bravo.example:8443"}, stream.Config{})
	opening.Wait()
	if err == nil {
		t.Cleanup(c.Cut)
		out.Stream, err = c.Open()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// pour writes a text again and again, with a pause, until that fails.
func pour(w io.Writer, text string, pause time.Duration) {
	for {
		if _, err := io.WriteString(w, text); err != nil {
			return
		}
		if pause > 0 {
			<-time.After(pause)
		}
	}
}

// A head has ten seconds, a refusal five to be taken, and a stream ten more to end; TLS five.
func TestAHostileStreamEndsInTime(t *testing.T) {
	for name, attack := range map[string]func(io.Writer){
		"whose_head_comes_byte_by_byte": func(w io.Writer) { pour(w, "C", time.Second) },
		"whose_head_never_ends":         func(w io.Writer) { pour(w, strings.Repeat("C", 1<<10), 0) },
		"whose_head_stops":              func(w io.Writer) { _, _ = io.WriteString(w, "CONNECT we") },
		"that_goes_on_when_it_is_refused": func(w io.Writer) {
			_, _ = io.WriteString(w, "CONNECT other HTTP/1.1\r\n\r\n")
			pour(w, strings.Repeat("a", 1<<10), 0)
		},
		"that_goes_on_slowly_when_it_is_refused": func(w io.Writer) {
			_, _ = io.WriteString(w, "CONNECT other HTTP/1.1\r\n\r\n")
			pour(w, "a", time.Second)
		},
		"that_does_not_end_when_it_is_refused": func(w io.Writer) { _, _ = io.WriteString(w, "CONNECT other HTTP/1.1\r\n\r\n") },
	} {
		for reading, reads := range map[string]bool{"and_reads": true, "and_reads_nothing": false} {
			t.Run(name+"/"+reading, func(t *testing.T) {
				testbubble.Run(t, func(t *testing.T) {
					bravo := newNation(t, "alfa")
					s := newServed(t, bravo)
					var group sync.WaitGroup
					group.Go(func() { attack(s) })
					if reads {
						<-time.After(time.Millisecond) // what is written first opens the stream
						group.Go(func() { _, _ = io.Copy(io.Discard, s) })
					}
					<-time.After(30 * time.Second)
					if !s.over.Load() || !s.ended.Load() {
						t.Errorf("it is served: %v; the connection has ended: %v", !s.over.Load(), s.ended.Load())
					}
					s.below.Close()
					group.Wait()
					refused := counted(t, bravo, "certlink_relay_tunnel_refused_total", "bad_request") +
						counted(t, bravo, "certlink_relay_tunnel_refused_total", "unknown")
					if refused != 1 {
						t.Errorf("%v were counted as refused", refused)
					}
				})
			})
		}
	}
}
