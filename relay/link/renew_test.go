// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link_test

import (
	"crypto/tls"
	"io"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/stream"
)

// door is a way to a side that can be shut for new connections.
type door struct {
	address string
	shut    atomic.Bool
}

func newDoor(t *testing.T, to string) *door {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{address: l.Addr().String()}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			if d.shut.Load() {
				in.Close()
				continue
			}
			go join(t, in, to)
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return d
}

func join(t *testing.T, in net.Conn, to string) {
	out, err := new(net.Dialer).DialContext(t.Context(), "tcp", to)
	if err != nil {
		in.Close()
		return
	}
	back := make(chan struct{})
	go func() {
		defer close(back)
		_, _ = io.Copy(in, out)
		in.Close()
	}()
	_, _ = io.Copy(out, in)
	out.Close()
	<-back
}

// renew gives a side a new leaf.
func (s *side) renew(t *testing.T) testca.Pair {
	t.Helper()
	pair := s.ca.Leaf(t, testca.Leaf{Path: "/relay", NotAfter: time.Now().Add(time.Hour)})
	pair.WriteTo(t, filepath.Join(s.dir, "relay"))
	s.apply(t)
	return pair
}

// Bravo, which alfa dials and which cannot dial itself, renews its leaf at a time at which
// nobody can open a connection.
func TestARenewalOfTheSideThatCannotDialEndsNoConnectionBeforeAnotherIsThere(t *testing.T) {
	alfa, bravo := newSide(t, "alfa"), newSide(t, "bravo")
	way := newDoor(t, bravo.address)
	bravo.expects(t, "alfa", alfa)
	alfa.join(t, "bravo", bravo, []config.Endpoint{{Address: way.address}})
	alfa.rested(t)
	running, reverse := alfa.tunnel(t, "bravo.example"), bravo.tunnel(t, "alfa.example")
	eventually(t, "those that were taken are replaced", func() bool { return alfa.connections(t, "dialled_by=us", "state=parked") >= 5 })

	way.shut.Store(true)
	renewed := bravo.renew(t)
	<-time.After(2500 * time.Millisecond) // the pool looks at its connections every second
	eventually(t, "alfa tries to open others", func() bool { return alfa.count(t, "certlink_relay_link_dials_total", "result=failed") > 0 })
	for class, path := range map[link.Class]string{link.Hotline: link.PathHotline, link.Feed: link.PathTAXII, link.Probe: link.PathOffer} {
		if _, err := get(t, bravo.pool.Client("alfa.example", class), "https://alfa.example"+path); err != nil {
			t.Errorf("a request of the side that cannot dial, class %s: %v", class, err)
		}
	}

	way.shut.Store(false)
	eventually(t, "requests go over connections with the new leaf", func() bool {
		resp, err := get(t, alfa.pool.Client("bravo.example", link.Hotline), "https://bravo.example"+link.PathHotline)
		return err == nil && resp.TLS.PeerCertificates[0].Equal(renewed.Chain[0])
	})
	for name, s := range map[string]*stream.Stream{"dialled": running, "reverse": reverse} {
		if err := echo(s); err != nil {
			t.Errorf("%s: the stream was broken: %v", name, err)
		}
	}
}

// A relay of an earlier version does not know RENEW: what it has dialled is let go, and it
// dials anew.
func TestAPeerThatDoesNotUnderstandRenewIsLetGo(t *testing.T) {
	for name, understands := range map[string]bool{"an_earlier_relay": false, "one_of_today": true} {
		t.Run(name, func(t *testing.T) {
			alfa, bravo := newSide(t, "alfa"), newSide(t, "bravo")
			bravo.expects(t, "alfa", alfa)
			alfa.expects(t, "bravo", bravo)
			host, _, err := net.SplitHostPort(bravo.address)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := new(net.Dialer).DialContext(t.Context(), "tcp", bravo.address)
			if err != nil {
				t.Fatal(err)
			}
			conn := tls.Client(stream.Under(raw), alfa.source.Current().LinkClient("bravo.example", host, string(link.Hotline)))
			if err := conn.HandshakeContext(t.Context()); err != nil {
				t.Fatal(err)
			}
			renew := make(chan struct{}, 1)
			c, err := stream.Client(conn, stream.Hello{Address: bravo.address, Renews: understands}, stream.Config{
				Renew: func(*stream.Conn) { renew <- struct{}{} },
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Cut)
			eventually(t, "it is parked", func() bool { return bravo.connections(t, "class=hotline", "state=parked") == 1 })
			bravo.renew(t)
			select {
			case <-c.Done():
				if understands {
					t.Errorf("it was ended: %v", c.Err())
				}
			case <-renew:
				if !understands {
					t.Error("it was asked what it does not understand")
				}
			case <-time.After(30 * time.Second):
				t.Fatal("nothing has happened")
			}
		})
	}
}
