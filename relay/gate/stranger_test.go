// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package gate_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/gate"
)

// crowd is a listener without a network, to which somebody comes from whatever address.
type crowd struct {
	come chan net.Conn
	done chan struct{}
	once sync.Once
}

// Accept implements net.Listener.
func (c *crowd) Accept() (net.Conn, error) {
	select {
	case conn := <-c.come:
		return conn, nil
	case <-c.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (c *crowd) Close() error {
	c.once.Do(func() { close(c.done) })
	return nil
}

// Addr implements net.Listener.
func (c *crowd) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 8443} }

// visit is the gate's end of a connection.
type visit struct {
	net.Conn
	from   net.Addr
	closed atomic.Bool
}

// RemoteAddr implements net.Conn.
func (v *visit) RemoteAddr() net.Addr { return v.from }

// Close implements net.Conn.
func (v *visit) Close() error {
	v.closed.Store(true)
	return v.Conn.Close()
}

// from connects from the address of a number.
func (c *crowd) from(number int) (ours net.Conn, theirs *visit) {
	ours, below := net.Pipe()
	theirs = &visit{Conn: below, from: &net.TCPAddr{IP: net.IPv4(10, byte(number>>16), byte(number>>8), byte(number)), Port: 4000}}
	c.come <- theirs
	return ours, theirs
}

// besieged runs a gate in a bubble, to which a crowd comes. It closes at once what has passed.
func besieged(t *testing.T, mod func(*gate.Config)) (*crowd, tls.Certificate) {
	t.Helper()
	cert := testca.New(t, "alfa.example").Leaf(t, testca.Leaf{Path: "/relay"}).TLS()
	c := &crowd{come: make(chan net.Conn), done: make(chan struct{})}
	cfg := gate.Config{
		Listener: c, Protocols: map[string]int{"http/1.1": 8}, Log: slog.New(slog.DiscardHandler),
		TLS: func() *tls.Config {
			return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert}
		},
		Client: func(tls.ConnectionState) (string, error) { return "someone", nil },
	}
	if mod != nil {
		mod(&cfg)
	}
	g, err := gate.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := g.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	passed := g.Listener("http/1.1")
	running.Go(func() {
		for {
			conn, err := passed.Accept()
			if err != nil {
				return
			}
			conn.(*gate.Conn).Cut()
		}
	})
	t.Cleanup(func() { cancel(); passed.Close(); running.Wait() })
	return c, cert
}

// shake tells whether a handshake from the address of a number ends well.
func (c *crowd) shake(t *testing.T, number int, cert tls.Certificate) bool {
	t.Helper()
	below, _ := c.from(number)
	defer below.Close()
	conn := tls.Client(below, &tls.Config{Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true})
	if conn.HandshakeContext(t.Context()) != nil {
		return false
	}
	_, err := conn.Read(make([]byte, 1)) // TLS 1.3: only now a client knows
	refused, ok := errors.AsType[*net.OpError](err)
	return !ok || refused.Op != "remote error"
}

func TestStrangersFromThousandsOfAddressesLeaveRoomForWhoIsKnown(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		const places, strangers, friend = 8, 10_000, 1 << 20
		c, cert := besieged(t, func(cfg *gate.Config) { cfg.Handshakes, cfg.PerSource = places, 2 })
		if !c.shake(t, friend, cert) {
			t.Fatal("a handshake with nobody else there fails")
		}
		var visits []*visit
		for i := range strangers {
			ours, theirs := c.from(i)
			t.Cleanup(func() { ours.Close() })
			visits = append(visits, theirs)
		}
		<-time.After(time.Millisecond)
		open := len(visits) - len(slices.DeleteFunc(slices.Clone(visits), func(v *visit) bool { return !v.closed.Load() }))
		if open != places*3/4 {
			t.Errorf("%d strangers shake hands, want %d", open, places*3/4)
		}
		for range 3 {
			if !c.shake(t, friend, cert) {
				t.Error("who was here before finds no room")
			}
		}
		if c.shake(t, strangers, cert) {
			t.Error("one more stranger finds room")
		}
		<-time.After(gate.DefaultHandshakeTimeout)
		if !c.shake(t, strangers, cert) {
			t.Error("a stranger finds no room when the others are gone")
		}
	})
}

func TestWhoWasAwayForADayIsAStranger(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		const friend = 1 << 20
		c, cert := besieged(t, func(cfg *gate.Config) { cfg.Handshakes = 4 })
		c.shake(t, friend, cert)
		<-time.After(25 * time.Hour)
		for i := range 3 {
			ours, _ := c.from(i)
			t.Cleanup(func() { ours.Close() })
		}
		<-time.After(time.Millisecond)
		if c.shake(t, friend, cert) {
			t.Error("there is room for it")
		}
	})
}

func TestAHandshakeThatIsTooLongIsRefused(t *testing.T) {
	d := setup(t, func(c *gate.Config) { c.HandshakeTimeout = patience })
	ca := testca.New(t, "alfa.example", testca.Options{Intermediates: 7})
	names := make([]string, 320) // as large as eight certificates of RSA 4096 are
	for i := range names {
		names[i] = fmt.Sprintf("a-rather-long-name-%d.relay.alfa.example", i)
	}
	chain := ca.Leaf(t, testca.Leaf{Path: "/relay", DNSNames: names}).TLS()
	size := 0
	for _, der := range chain.Certificate {
		size += len(der)
	}
	if len(chain.Certificate) != 8 || size < 16<<10 {
		t.Fatal(len(chain.Certificate), "certificates,", size, "bytes")
	}
	d.client = chain
	d.dial(t, "a")
	d.accept(t, "a").Close()
	for len(chain.Certificate) < 100 { // TLS itself takes 256 KiB of them
		chain.Certificate = append(chain.Certificate, chain.Certificate[7])
	}
	d.client = chain
	if conn := d.dial(t, "a"); !ended(t, conn, patience) {
		t.Error("the connection is open")
	}
	select {
	case err := <-d.refused:
		if !strings.Contains(err.Error(), "more than 32 KiB") {
			t.Errorf("refused by %v", err)
		}
	case <-time.After(patience):
		t.Error("it was accepted")
	}
}

func TestTenThousandWhoDoNotEndTheirHandshakeTakeLittleMemory(t *testing.T) {
	const strangers, most = 10_000, 64 << 20
	testbubble.Run(t, func(t *testing.T) {
		c, _ := besieged(t, nil)
		before := heap()
		// The beginning of a ClientHello of 65,535 bytes, in a record as large as one can be.
		hello := append([]byte("\x16\x03\x01\x40\x00\x01\x00\xff\xff"), bytes.Repeat([]byte("a"), 1<<14-4)...)
		hello = append(hello, bytes.Repeat(append([]byte("\x16\x03\x01\x10\x00"), bytes.Repeat([]byte("a"), 1<<12)...), 2)...)
		var open atomic.Int64
		for i := range strangers {
			ours, theirs := c.from(i)
			t.Cleanup(func() { ours.Close() })
			go func() {
				if _, err := io.Copy(ours, bytes.NewReader(hello)); err == nil && !theirs.closed.Load() {
					open.Add(1)
				}
			}()
		}
		<-time.After(time.Second)
		if n := open.Load(); n == 0 || n > gate.DefaultHandshakes {
			t.Errorf("%d are in their handshake", n)
		}
		if grown := heap() - before; grown > most {
			t.Errorf("they take %d MiB, want at most %d", grown>>20, most>>20)
		}
	})
}

// heap is how much of it is in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
