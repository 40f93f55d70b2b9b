// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/stream"
	"github.com/certlink/certlink/relay/tunnel"
)

const patience = 30 * time.Second

// nation is one side: its engine, and a link of its own that is only a pool of
// authenticated connections.
type nation struct {
	engine  *tunnel.Engine
	metrics *prometheus.Registry
	link    *pool
	cfg     *config.Config
}

// pool is the simplest link: it dials when nothing is parked.
type pool struct {
	address string // of the other side
	client  *tls.Config
	serve   atomic.Pointer[func(*stream.Stream)]
	dials   atomic.Int32
	down    atomic.Bool

	mu     sync.Mutex
	parked []*stream.Conn
	all    map[*stream.Conn]struct{}
}

func (p *pool) config() stream.Config {
	return stream.Config{
		Accept: func(s *stream.Stream) { (*p.serve.Load())(s) },
		Parked: func(c *stream.Conn) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.parked = append(p.parked, c)
			p.all[c] = struct{}{}
		},
		Closed: func(c *stream.Conn, _ error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			delete(p.all, c)
		},
	}
}

var errDown = errors.New("the link is down")

func (p *pool) open(ctx context.Context, _ string) (*stream.Stream, error) {
	if p.down.Load() {
		return nil, errDown
	}
	for {
		if s := p.openParked(""); s != nil {
			return s, nil
		}
		if err := p.dial(ctx); err != nil {
			return nil, err
		}
	}
}

// openParked opens a stream on a connection that is parked, nil if there is none.
func (p *pool) openParked(string) *stream.Stream {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := len(p.parked); n > 0 && !p.down.Load(); n = len(p.parked) {
		c := p.parked[n-1]
		p.parked = p.parked[:n-1]
		if s, err := c.Open(); err == nil {
			return s
		}
	}
	return nil
}

func (p *pool) dial(ctx context.Context) error {
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", p.address)
	if err != nil {
		return err
	}
	conn := tls.Client(stream.Under(raw), p.client)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return err
	}
	p.dials.Add(1)
	_, err = stream.Client(conn, stream.Hello{Address: p.address}, p.config())
	return err
}

// idle: all connections are parked.
func (p *pool) idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.parked) == len(p.all)
}

// cut breaks all connections of the link.
func (p *pool) cut() {
	p.mu.Lock()
	var all []*stream.Conn
	for c := range p.all {
		all = append(all, c)
	}
	p.mu.Unlock()
	for _, c := range all {
		c.Cut()
	}
}

// drain lets all connections of the link end with what they carry.
func (p *pool) drain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.all {
		c.Drain()
	}
}

// empty: there is no connection.
func (p *pool) empty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.all) == 0
}

func (p *pool) listen(t testing.TB, server *tls.Config) string {
	t.Helper()
	l := listenTCP(t)
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				conn := tls.Server(stream.Under(raw), server)
				if conn.HandshakeContext(context.Background()) != nil {
					raw.Close()
					return
				}
				_, _, _ = stream.Server(conn, p.config())
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		conns.Wait()
		p.cut()
	})
	return l.Addr().String()
}

func listenTCP(t testing.TB) net.Listener {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// world is nation alfa, which imports the service "web" of nation bravo.
type world struct {
	alfa, bravo *nation
	address     string // of the import
}

func newWorld(t testing.TB, target string) *world {
	t.Helper()
	client, server := tlsConfigs(t)
	w := &world{alfa: newNation(t, "bravo"), bravo: newNation(t, "alfa")}
	w.bravo.cfg.ServiceExports = []config.ServiceExport{{
		Name: "web", Target: target, Peers: []string{"alfa"}, MaxConnections: 100, IdleSeconds: 60,
	}}
	w.alfa.cfg.ServiceImports = []config.ServiceImport{{
		Name: "bravo-web", Peer: "bravo", Service: "web", Listen: "127.0.0.1:0", MaxConnections: 100, IdleSeconds: 60,
	}}
	w.alfa.link.client = client
	w.alfa.link.address = w.bravo.link.listen(t, server)
	w.bravo.engine.Apply(w.bravo.cfg)
	w.alfa.engine.Apply(w.alfa.cfg)
	for _, n := range []*nation{w.alfa, w.bravo} {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = n.engine.Run(ctx)
		}()
		t.Cleanup(func() {
			cancel()
			<-done
			n.link.cut()
		})
	}
	w.address = w.port(t, "bravo-web")
	return w
}

func (w *world) port(t testing.TB, name string) string {
	t.Helper()
	var address string
	eventually(t, "the port of the import is open", func() bool {
		if a := w.alfa.engine.Addr(name); a != nil {
			address = a.String()
		}
		return address != ""
	})
	return address
}

func newNation(t testing.TB, peer string) *nation {
	t.Helper()
	n := &nation{metrics: prometheus.NewRegistry(), link: &pool{all: map[*stream.Conn]struct{}{}}}
	n.cfg = &config.Config{Peers: []config.Peer{{
		Name: peer, TrustDomain: peer + ".example", State: config.Active, Limits: config.Limits{TunnelConnections: 100},
	}}}
	engine, err := tunnel.New(tunnel.Config{
		Open: n.link.open, OpenParked: n.link.openParked, Log: slog.New(slog.DiscardHandler), Metrics: n.metrics,
	})
	if err != nil {
		t.Fatal(err)
	}
	n.engine = engine
	serve := func(s *stream.Stream) {
		engine.Serve(context.Background(), access.Peer{Name: peer, TrustDomain: peer + ".example", State: config.Active, Relay: true}, s)
	}
	n.link.serve.Store(&serve)
	return n
}

func (w *world) dial(t testing.TB) *net.TCPConn {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(context.Background(), "tcp", w.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn.(*net.TCPConn)
}

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for by := time.Now().Add(patience); !condition(); <-time.After(2 * time.Millisecond) {
		if time.Now().After(by) {
			t.Fatalf("never: %s", what)
		}
	}
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

// serveTCP accepts connections for a handler until the test ends, and returns the address.
func serveTCP(t testing.TB, handle func(*net.TCPConn)) string {
	t.Helper()
	l := listenTCP(t)
	var conns sync.WaitGroup
	t.Cleanup(conns.Wait)
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer conn.Close()
				handle(conn.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func echo(c *net.TCPConn) {
	_, _ = io.Copy(c, c)
	_ = c.CloseWrite()
}
