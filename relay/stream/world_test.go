// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is the two ends of a framed connection over TLS over TCP.
type pair struct {
	dialer, listener *end
}

// end is one side, with what happened there.
type end struct {
	*stream.Conn
	raw    net.Conn
	parked chan struct{}
	taken  chan struct{}
	closed chan error
}

type setup struct {
	dialer, listener func(*stream.Stream)
	// between wraps the raw connections, if not nil.
	between func(net.Conn) net.Conn
}

func newPair(t testing.TB, s setup) *pair {
	t.Helper()
	a, b := tcpPair(t)
	if s.between != nil {
		a, b = s.between(a), s.between(b)
	}
	client, server := tlsConfigs(t)
	p := &pair{dialer: newEnd(a), listener: newEnd(b)}
	var wg sync.WaitGroup
	wg.Go(func() {
		conn := tls.Server(stream.Under(b), server)
		if err := conn.HandshakeContext(t.Context()); err != nil {
			t.Error(err)
			return
		}
		c, hello, err := stream.Server(conn, p.listener.config(s.listener))
		if err != nil || hello.Address != "bravo.example:8443" {
			t.Errorf("Server: %v %v", hello, err)
		}
		p.listener.Conn = c
	})
	conn := tls.Client(stream.Under(a), client)
	if err := conn.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := stream.Client(conn, stream.Hello{Address: "bravo.example:8443", Instance: "1"}, p.dialer.config(s.dialer))
	if err != nil {
		t.Fatal(err)
	}
	p.dialer.Conn = c
	wg.Wait()
	t.Cleanup(func() {
		p.dialer.Cut()
		p.listener.Cut()
	})
	p.dialer.isParked(t)
	p.listener.isParked(t)
	return p
}

func newEnd(raw net.Conn) *end {
	return &end{raw: raw, parked: make(chan struct{}, 10000), taken: make(chan struct{}, 10000), closed: make(chan error, 1)}
}

func (e *end) config(accept func(*stream.Stream)) stream.Config {
	return stream.Config{
		Accept: accept,
		Parked: func(*stream.Conn) { e.parked <- struct{}{} },
		Taken:  func(*stream.Conn) { e.taken <- struct{}{} },
		Closed: func(_ *stream.Conn, err error) { e.closed <- err },
	}
}

const patience = 30 * time.Second

func (e *end) isParked(t testing.TB) {
	t.Helper()
	select {
	case <-e.parked:
	case <-time.After(patience):
		t.Fatal("the connection was not parked")
	}
}

func (e *end) isClosed(t testing.TB) error {
	t.Helper()
	select {
	case err := <-e.closed:
		return err
	case <-time.After(patience):
		t.Fatal("the connection was not closed")
		return nil
	}
}

func (e *end) open(t testing.TB) *stream.Stream {
	t.Helper()
	s, err := e.Open()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tcpPair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var d net.Dialer
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if a, err = d.DialContext(ctx, "tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

var certificates = sync.OnceValues(func() (*testca.CA, testca.Pair) {
	ca, err := testca.Make("alfa.example", testca.Options{})
	if err != nil {
		panic(err)
	}
	leaf, err := ca.Issue(testca.Leaf{Path: "/relay"})
	if err != nil {
		panic(err)
	}
	return ca, leaf
})

func tlsConfigs(testing.TB) (client, server *tls.Config) {
	ca, leaf := certificates()
	pool := x509.NewCertPool()
	pool.AddCert(ca.Root)
	client = &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: pool, ServerName: "localhost", Certificates: []tls.Certificate{leaf.TLS()},
	}
	server = &tls.Config{
		MinVersion: tls.VersionTLS13, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, Certificates: []tls.Certificate{leaf.TLS()},
	}
	return client, server
}

// echo sends back what it reads.
func echo(s *stream.Stream) {
	defer s.Close()
	if _, err := s.WriteTo(s); err == nil {
		_ = s.CloseWrite()
	}
}
