// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package gate_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/gate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// door is a running gate with two protocols.
type door struct {
	*gate.Gate
	address string
	refused chan error
	client  tls.Certificate
}

func setup(t *testing.T, mod func(*gate.Config)) *door {
	t.Helper()
	ca := testca.New(t, "alfa.example")
	cert := ca.Leaf(t, testca.Leaf{Path: "/relay"}).TLS()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{address: listener.Addr().String(), refused: make(chan error, 64), client: cert}
	cfg := gate.Config{
		Listener: listener,
		TLS: func() *tls.Config {
			return &tls.Config{
				MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert},
				ClientAuth: tls.RequireAnyClientCert, NextProtos: []string{"a", "http/1.1"},
			}
		},
		Protocols: map[string]int{"a": 2, "http/1.1": 8},
		Client:    func(tls.ConnectionState) (string, error) { return "someone", nil },
		Refused:   func(_ net.Addr, err error) { d.refused <- err },
		Log:       slog.New(slog.DiscardHandler),
	}
	if mod != nil {
		mod(&cfg)
	}
	if d.Gate, err = gate.New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return d
}

// dial finishes a handshake for a protocol; "" is none.
func (d *door) dial(t *testing.T, protocol string) *tls.Conn {
	t.Helper()
	cfg := &tls.Config{Certificates: []tls.Certificate{d.client}, InsecureSkipVerify: true}
	if protocol != "" {
		cfg.NextProtos = []string{protocol}
	}
	conn, err := (&tls.Dialer{Config: cfg}).DialContext(t.Context(), "tcp", d.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*tls.Conn)
}

// accept takes the next connection of a protocol.
func (d *door) accept(t *testing.T, protocol string) net.Conn {
	t.Helper()
	type result struct {
		conn net.Conn
		err  error
	}
	got := make(chan result, 1)
	listener := d.Listener(protocol)
	go func() {
		conn, err := listener.Accept()
		got <- result{conn, err}
	}()
	select {
	case r := <-got:
		if r.err != nil {
			t.Fatal(r.err)
		}
		t.Cleanup(func() { r.conn.Close() })
		return r.conn
	case <-time.After(patience):
		t.Fatalf("no connection for %q within %s", protocol, patience)
		return nil
	}
}

// patience is how long a test waits for what must come, on a machine that does other things as well.
const patience = time.Minute

// ended tells whether the other end closes the connection within a while.
func ended(t *testing.T, conn net.Conn, within time.Duration) bool {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	_, err := conn.Read(make([]byte, 1))
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

func TestConnectionsAreSortedByProtocol(t *testing.T) {
	d := setup(t, nil)
	for _, c := range []struct{ asked, got string }{{"a", "a"}, {"http/1.1", "http/1.1"}, {"", "http/1.1"}} {
		client := d.dial(t, c.asked)
		server, ok := d.accept(t, c.got).(*gate.Conn)
		if !ok || server.Client != "someone" || !server.State.HandshakeComplete {
			t.Fatalf("%q: %+v", c.asked, server)
		}
		if _, err := io.WriteString(server, "x"); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Read(make([]byte, 1)); err != nil {
			t.Errorf("%q: %v", c.asked, err)
		}
		server.Close()
	}
}

func TestAClientHoldsNoMoreConnectionsThanItMay(t *testing.T) {
	d := setup(t, nil)
	first := d.accept2(t, "a")
	d.accept2(t, "a")
	if third := d.dial(t, "a"); !ended(t, third, patience) {
		t.Error("a third connection is open")
	}
	d.accept2(t, "http/1.1") // another protocol has a bound of its own
	first.Close()
	first.Close() // counts once
	d.accept2(t, "a")
	if over := d.dial(t, "a"); !ended(t, over, patience) {
		t.Error("a connection too many is open")
	}
}

// accept2 opens a connection and accepts it.
func (d *door) accept2(t *testing.T, protocol string) net.Conn {
	t.Helper()
	d.dial(t, protocol)
	return d.accept(t, protocol)
}

func TestHandshakesAreBounded(t *testing.T) {
	const bound = 4
	d := setup(t, func(c *gate.Config) { c.PerSource, c.HandshakeTimeout = bound, time.Hour })
	var conns []net.Conn // in the order in which the gate takes them
	for range 3 * bound {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", d.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conns = append(conns, conn)
	}
	for i, conn := range conns[bound:] {
		if !ended(t, conn, patience) {
			t.Errorf("handshake %d is open, beyond the bound of %d", bound+i+1, bound)
		}
	}
	for i, conn := range conns[:bound] {
		if ended(t, conn, 100*time.Millisecond) {
			t.Errorf("handshake %d has ended, within the bound of %d", i+1, bound)
		}
	}
}

func TestASlowHandshakeIsCutOff(t *testing.T) {
	d := setup(t, func(c *gate.Config) { c.HandshakeTimeout = 50 * time.Millisecond })
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", d.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if !ended(t, conn, patience) {
		t.Error("the connection is still open")
	}
	if err := <-d.refused; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("refused by %v", err)
	}
}

func TestARefusedClientCanReadWhy(t *testing.T) {
	no := errors.New("no")
	d := setup(t, func(c *gate.Config) {
		inner := c.TLS
		c.TLS = func() *tls.Config {
			cfg := inner()
			cfg.VerifyConnection = func(tls.ConnectionState) error { return no }
			return cfg
		}
	})
	for range 20 {
		conn := d.dial(t, "a")
		_, _ = conn.Write(make([]byte, 8<<10)) // unread bytes at the server, as a request leaves them
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		_, err := conn.Read(make([]byte, 1))
		if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "remote error" {
			t.Fatalf("the client reads %v", err)
		}
		if err := <-d.refused; !errors.Is(err, no) {
			t.Errorf("refused by %v", err)
		}
	}
}
