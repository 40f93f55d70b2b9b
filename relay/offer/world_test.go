// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package offer_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/offer"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store/sqlite"
	"github.com/certlink/certlink/relay/trust"
)

const protocol = "certlink-probe/1"

// nation is one relay's identity, trust and offers over real TLS.
type nation struct {
	t        *testing.T
	name, td string
	dir      string
	ca       *testca.CA
	other    *nation
	listener net.Listener
	wrap     func(offer.Keeper) offer.Keeper
	versions []int32
	keys     offer.SealKeys
	ahead    atomic.Int64 // of our clock
	mute     atomic.Bool  // we answer nobody

	mu  sync.Mutex
	cfg config.Config

	now    atomic.Pointer[parts]
	broken atomic.Int64 // connections of streams that our trust cut
	view   atomic.Pointer[report.State]
}

// parts are what a restart replaces.
type parts struct {
	source *identity.Source
	keeper *trust.Keeper
	engine *offer.Engine
	stop   func()
	open   sync.Map // *tls.Conn of streams
}

// newWorld links alfa and bravo.
func newWorld(t *testing.T, change ...func(alfa, bravo *nation)) (alfa, bravo *nation) {
	t.Helper()
	alfa, bravo = newNation(t, "alfa"), newNation(t, "bravo")
	alfa.other, bravo.other = bravo, alfa
	for _, n := range []*nation{alfa, bravo} {
		n.cfg.Peers = []config.Peer{{Name: n.other.name, TrustDomain: n.other.td, Bundle: n.other.ca.Bundle(), State: config.Active, Rotation: config.Automatic}}
	}
	for _, f := range change {
		f(alfa, bravo)
	}
	for _, n := range []*nation{alfa, bravo} {
		n.start()
		t.Cleanup(func() { n.stop() })
	}
	return alfa, bravo
}

func newNation(t *testing.T, name string) *nation {
	t.Helper()
	n := &nation{t: t, name: name, td: name + ".example", dir: t.TempDir()}
	n.ca = testca.New(t, n.td)
	if err := n.ca.WriteNation(n.dir); err != nil {
		t.Fatal(err)
	}
	pair := func(name string) config.KeyPair {
		at := func(file string) string { return filepath.Join(n.dir, name, file) }
		return config.KeyPair{CertFile: at("tls.crt"), KeyFile: at("tls.key"), CAFile: at("ca.crt")}
	}
	n.cfg = config.Config{Identity: config.Identity{TrustDomain: n.td, Link: pair("relay"), Local: pair("local"), Signing: pair("signing")}}
	var err error
	if n.listener, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	server := n.server()
	go func() { _ = server.Serve(plain{tls.NewListener(n.listener, n.accepts())}) }()
	t.Cleanup(func() {
		// A connection whose request was not read to its end rests for half a second before it is closed.
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("connections are left: %v", errors.Join(err, server.Close()))
		}
	})
	return n
}

func (n *nation) parts() *parts            { return n.now.Load() }
func (n *nation) source() *identity.Source { return n.parts().source }
func (n *nation) engine() *offer.Engine    { return n.parts().engine }

// start starts the relay on what is stored.
func (n *nation) start() {
	n.t.Helper()
	must := func(err error) {
		n.t.Helper()
		if err != nil {
			n.t.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	clock := func() time.Time { return time.Now().Add(time.Duration(n.ahead.Load())) }
	db, err := sqlite.Open(n.t.Context(), sqlite.Config{Path: filepath.Join(n.dir, "relay.db")})
	must(err)
	p := &parts{}
	p.source, err = identity.New(identity.Config{Log: log})
	must(err)
	p.source.OnChange(func(now *identity.Snapshot) { n.recheck(p, now) })
	p.keeper, err = trust.New(n.t.Context(), trust.Config{Store: db, Identity: p.source, Log: log, Registry: prometheus.NewRegistry()})
	must(err)
	var keeper offer.Keeper = p.keeper
	if n.wrap != nil {
		keeper = n.wrap(p.keeper)
	}
	p.engine, err = offer.New(offer.Config{
		Identity: p.source, Keeper: keeper, Client: n.client, Versions: n.versions, Release: "test " + n.name, Clock: clock, SealKeys: n.keys,
		View: n.see, Log: log, Registry: prometheus.NewRegistry(),
	})
	must(err)
	cfg := n.config()
	must(p.source.Apply(&cfg))
	p.engine.Apply(&cfg)
	n.now.Store(p)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{p.source.Run, p.keeper.Run, p.engine.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				n.t.Error(err)
			}
		})
	}
	p.stop = func() {
		cancel()
		running.Wait()
		p.open.Range(func(c, _ any) bool { _ = c.(net.Conn).Close(); return true })
		_ = db.Close()
	}
}

func (n *nation) stop() {
	if p := n.now.Swap(nil); p != nil {
		p.stop()
	}
}

func (n *nation) restart() {
	n.t.Helper()
	n.stop()
	n.start()
}

func (n *nation) see(string) (outbound, inbound report.State, pathsUp int32) {
	if s := n.view.Load(); s != nil {
		return *s, report.Up, 2
	}
	return report.Up, report.Up, 2
}

func (n *nation) config() config.Config {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.cfg
	c.Peers = slices.Clone(n.cfg.Peers)
	return c
}

// apply makes a changed configuration live.
func (n *nation) apply(change func(*config.Config)) {
	n.t.Helper()
	c := n.config()
	change(&c)
	n.mu.Lock()
	n.cfg = c
	n.mu.Unlock()
	if err := n.source().Apply(&c); err != nil {
		n.t.Fatal(err)
	}
	n.engine().Apply(&c)
}

// issue writes leaves of a CA for all of our certificates; the CA files hold roots.
func (n *nation) issue(by *testca.CA, roots ...*testca.CA) {
	n.t.Helper()
	var pem []byte
	for _, ca := range roots {
		pem = append(pem, ca.Bundle()...)
	}
	for _, path := range []string{"/signing", "/local", "/relay"} {
		p := by.Leaf(n.t, testca.Leaf{Path: path})
		p.CAPEM = pem
		p.WriteTo(n.t, filepath.Join(n.dir, path))
	}
}

// recheck cuts the streams that trust does not allow any more, as package link does.
func (n *nation) recheck(p *parts, now *identity.Snapshot) {
	p.open.Range(func(c, _ any) bool {
		conn := c.(*tls.Conn)
		chain := conn.ConnectionState().PeerCertificates
		if _, _, err := now.VerifyPeer(chain); err != nil && !now.Retired(chain) {
			n.broken.Add(1)
			p.open.Delete(conn)
			_ = conn.Close()
		}
		return true
	})
}

// client reaches the other nation, with a handshake for each request.
func (n *nation) client(string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return n.dial(ctx)
		},
	}}
}

func (n *nation) dial(ctx context.Context) (*tls.Conn, error) {
	p := n.parts()
	if p == nil {
		return nil, errors.New("stopped")
	}
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", n.other.listener.Addr().String())
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, p.source.Current().LinkClient(n.other.td, "127.0.0.1", protocol))
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

type connKey struct{}

func (n *nation) accepts() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if p := n.parts(); p != nil {
			return p.source.Current().LinkServer([]string{protocol}), nil
		}
		return nil, errors.New("stopped")
	}}
}

func (n *nation) server() *http.Server {
	return &http.Server{
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		Handler:           http.HandlerFunc(n.handle),
	}
}

// plain hides TLS from http.Server, which would not serve a protocol of ours.
type plain struct{ net.Listener }

type plainConn struct{ net.Conn }

func (l plain) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return plainConn{conn}, err
}

func (n *nation) handle(w http.ResponseWriter, r *http.Request) {
	p := n.parts()
	hidden, _ := r.Context().Value(connKey{}).(plainConn)
	conn, ok := hidden.Conn.(*tls.Conn)
	if n.mute.Load() {
		panic(http.ErrAbortHandler)
	}
	if p == nil || !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	id, peer, err := p.source.Current().VerifyPeer(conn.ConnectionState().PeerCertificates)
	if err != nil {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	ctx := access.WithPeer(r.Context(), access.Peer{Name: peer.Name, TrustDomain: peer.TrustDomain, State: peer.State, Relay: id.Path() == "/relay"})
	mux := http.NewServeMux()
	mux.Handle(offer.Path, p.engine.Handler())
	mux.Handle("/traffic", p.engine.Gate(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })))
	mux.HandleFunc("/stream", func(w http.ResponseWriter, _ *http.Request) { n.echo(p, conn, w) })
	mux.ServeHTTP(w, r.WithContext(ctx))
}

// echo turns the connection into a stream that gives back what it gets.
func (n *nation) echo(p *parts, conn *tls.Conn, w http.ResponseWriter) {
	p.open.Store(conn, true)
	defer p.open.Delete(conn)
	_, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"))
	for {
		b, err := rw.ReadByte()
		if err != nil {
			return
		}
		if _, err := conn.Write([]byte{b}); err != nil {
			return
		}
	}
}
