// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/stream"
)

// rechecked is within what time each open connection is verified once more.
const rechecked = 11 * time.Second

// held keeps a connection busy, or not, as long as it lasts.
var held = map[string]func(t *testing.T, s *slow) *watched{
	"a_tunnel_that_carries_bytes": func(t *testing.T, s *slow) *watched {
		st, theirs := s.begin(t, link.Tunnel)
		go func() {
			for echo(st) == nil {
				<-time.After(time.Second)
			}
		}()
		return theirs
	},
	"a_connection_that_is_parked": func(t *testing.T, s *slow) *watched {
		conn, theirs := s.dial(t, link.Hotline)
		c, err := stream.Client(conn, stream.Hello{Address: "bravo.example:8443"}, stream.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Cut)
		return theirs
	},
	"a_request_of_the_hotline": func(t *testing.T, s *slow) *watched {
		s.answering(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		})
		request, theirs := s.begin(t, link.Hotline)
		if _, err := fmt.Fprintf(request, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", link.PathHotline); err != nil {
			t.Fatal(err)
		}
		return theirs
	},
	"a_client_without_a_relay": func(t *testing.T, s *slow) *watched {
		conn, theirs := s.dial(t, link.PlainFeed)
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		go func() {
			for ask := "GET " + link.PathTAXII + " HTTP/1.1\r\nHost: x\r\n\r\n"; writes(conn, ask); {
				<-time.After(20 * time.Second)
			}
		}()
		return theirs
	},
}

func writes(conn net.Conn, text string) bool {
	_, err := io.WriteString(conn, text)
	return err == nil
}

func TestACertificateThatEndsEndsItsConnections(t *testing.T) {
	const lasts = 10 * time.Minute
	for name, hold := range held {
		t.Run(name, func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) {
				s := newSlow(t)
				s.leaf = s.others.Leaf(t, testca.Leaf{Path: "/relay", NotAfter: time.Now().Add(lasts)})
				theirs := hold(t, s)
				<-time.After(lasts - time.Second)
				if theirs.closed.Load() {
					t.Fatal("the connection has ended before the certificate")
				}
				<-time.After(rechecked + time.Second)
				if !theirs.closed.Load() {
					t.Error("the connection outlives the certificate")
				}
				<-time.After(time.Minute) // who held it has seen that
			})
		})
	}
}

func TestARevocationEndsWhateverIsOpen(t *testing.T) {
	for name, hold := range held {
		t.Run(name, func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) {
				s := newSlow(t)
				theirs := hold(t, s)
				<-time.After(time.Second)
				s.change(t, func(p *config.Peer) { p.State = config.Revoked })
				<-time.After(time.Second)
				if !theirs.closed.Load() {
					t.Error("the connection is open")
				}
				<-time.After(time.Minute) // who held it has seen that
			})
		})
	}
}

// TestARequestOfTheHotlineAndARootThatIsReplacedMeanwhile replaces the root of alfa's CA while bravo has a request of alfa: alfa
// itself does, by its offers, or a person at bravo.
func TestARequestOfTheHotlineAndARootThatIsReplacedMeanwhile(t *testing.T) {
	for _, c := range []struct {
		name     string
		replace  func(t *testing.T, s *slow, next *testca.CA)
		answered bool
	}{
		{"by_the_peer", func(t *testing.T, s *slow, next *testca.CA) {
			trust, _ := s.source.Current().PeerTrust("alfa.example")
			for _, bundle := range []string{s.others.Bundle() + next.Bundle(), next.Bundle()} {
				if err := s.source.Learn(identity.Learned{TrustDomain: "alfa.example", Base: trust.Base, Bundle: bundle, At: time.Now()}); err != nil {
					t.Fatal(err)
				}
			}
		}, true},
		{"by_a_person", func(t *testing.T, s *slow, next *testca.CA) {
			s.change(t, func(p *config.Peer) { p.Bundle = next.Bundle() })
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) {
				s := newSlow(t)
				s.answering(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					<-time.After(5 * time.Second)
					_, _ = io.WriteString(w, "hello")
				})
				request, theirs := s.begin(t, link.Hotline)
				if _, err := fmt.Fprintf(request, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", link.PathHotline); err != nil {
					t.Fatal(err)
				}
				<-time.After(time.Second)
				c.replace(t, s, testca.New(t, "alfa.example"))
				got, err := io.ReadAll(request)
				if answered := err == nil && strings.HasSuffix(string(got), "hello"); answered != c.answered {
					t.Errorf("it is answered %q, %v", got, err)
				}
				request.Close()
				<-time.After(parting)
				if !theirs.closed.Load() {
					t.Error("the connection goes on under a root that is gone")
				}
			})
		})
	}
}
