// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/gate"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/stream"
)

// drain is how long requests and streams may go on after the context ended.
const drain = 8 * time.Second

// ServerConfig is what a Server needs.
type ServerConfig struct {
	// Listener accepts the peers' TCP connections; Run closes it. Required.
	Listener net.Listener
	// Identity says who we are and whom we trust. Required.
	Identity *identity.Source
	// Pool takes the connections that peers dial, and brings the streams that they
	// open on ours. Required.
	Pool *Pool
	// Handlers serve the classes; a class without one answers 404. That of Feed
	// serves PlainFeed too, that of Probe all but heartbeats.
	Handlers map[Class]http.Handler
	// Tunnel serves a stream of the tunnel class that a peer opened, on a goroutine
	// of its own, and closes it. The context ends when the relay stops. If nil,
	// such streams are refused.
	Tunnel func(ctx context.Context, from access.Peer, s *stream.Stream)
	// Heartbeats serves a heartbeat connection that a peer opened, until it ends; it
	// may return at any time. The context ends when the relay stops. If nil, they
	// are refused.
	Heartbeats func(ctx context.Context, from access.Peer, at Path, session report.TLS, beats net.Conn)
	// Refused is told of a handshake in which someone claimed, without proof, to
	// be the peer of this trust domain; at most once a second for each. May be nil.
	Refused func(trustDomain string, cause report.Cause, message string)
	// Log is required.
	Log *slog.Logger
	// Metrics is where metrics are registered. Required.
	Metrics prometheus.Registerer
}

// Server is the link port, and serves the streams that peers open.
type Server struct {
	cfg     ServerConfig
	gate    *gate.Gate
	plain   *registry[*inbound]
	byConn  sync.Map // *gate.Conn to *inbound
	streams map[Class]*streams
	short   http.Handler // of short hotline requests
	refused *sometimes

	mu   sync.Mutex      // guards life
	life context.Context // nil before Run
	work sync.WaitGroup  // tunnels and heartbeats
	// shorts are requests that are served here; see short.go.
	shorts sync.WaitGroup
}

// NewServer checks the configuration. Nothing is accepted before Run.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Identity == nil || cfg.Pool == nil || cfg.Log == nil || cfg.Metrics == nil {
		return nil, errors.New("link server needs an identity, a pool, a logger and metrics")
	}
	s := &Server{cfg: cfg, plain: newRegistry[*inbound](), refused: newSometimes(time.Second), streams: map[Class]*streams{}}
	held := map[string]int{}
	for class, l := range classes {
		held[string(class)] = l.held
	}
	var err error
	s.gate, err = gate.New(gate.Config{
		Listener:  cfg.Listener,
		TLS:       func() *tls.Config { return cfg.Identity.Current().LinkServer(protocols) },
		Protocols: held,
		Held:      s.held,
		Under:     stream.Under,
		Client:    holder,
		Refused:   s.turnedAway,
		Log:       cfg.Log,
		Metrics:   gate.NewMetrics(cfg.Metrics, "link"),
	})
	if err != nil {
		return nil, fmt.Errorf("building the link port: %w", err)
	}
	for _, class := range framed {
		s.streams[class] = newStreams(cfg.Listener.Addr())
	}
	s.short = s.guard(Hotline, classes[Hotline])
	serve := s.serveStream
	cfg.Pool.serving.Store(&serve)
	cfg.Identity.OnChange(s.recheck)
	return s, nil
}

// held is how many connections of a class a peer may open here.
func (s *Server) held(trustDomain, protocol string) int {
	peer, _ := s.cfg.Identity.Current().Peer(trustDomain)
	return held(peer, Class(protocol))
}

// holder names the trust domain of a connection that VerifyConnection accepted.
func holder(state tls.ConnectionState) (string, error) {
	if len(state.PeerCertificates) == 0 || len(state.PeerCertificates[0].URIs) != 1 {
		return "", errors.New("the connection has no identity")
	}
	return state.PeerCertificates[0].URIs[0].Host, nil
}

// Run accepts and serves until the context ends, then lets requests finish for a
// while. It needs a snapshot of the identity.
func (s *Server) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	s.mu.Lock()
	s.life = ctx
	s.mu.Unlock()
	group.Go(func() error { return s.gate.Run(ctx) })
	group.Go(func() error { s.keepChecking(ctx); return nil })
	group.Go(func() error { <-ctx.Done(); s.awaitShort(); return nil })
	for class, l := range classes {
		listener := s.gate.Listener(string(class))
		if class != PlainFeed {
			group.Go(func() error { s.frameAll(ctx, class); return nil })
			listener = s.streams[class]
		}
		if class == Tunnel {
			continue // it is not HTTP requests that its streams begin with here
		}
		server := s.server(class, l)
		group.Go(func() error {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serving %s: %w", class, err)
			}
			return nil
		})
		group.Go(func() error {
			<-ctx.Done()
			return shutDown(server)
		})
	}
	err := group.Wait()
	s.mu.Lock()   // what began under it is counted
	s.mu.Unlock() //nolint:staticcheck // empty on purpose
	s.work.Wait()
	return err
}

// frameAll begins the framed connections of a class.
func (s *Server) frameAll(ctx context.Context, class Class) {
	listener := s.gate.Listener(string(class))
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	var beginning sync.WaitGroup
	defer beginning.Wait()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		authenticated, ok := conn.(*gate.Conn)
		if !ok {
			conn.Close()
			continue
		}
		beginning.Go(func() { s.frame(authenticated, class) })
	}
}

// shutDown lets requests finish, and ends those that take too long.
func shutDown(server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		return server.Close()
	}
	return nil
}

// headerTime is how long the header of a request may take.
func headerTime(l limits) time.Duration { return min(l.read, 10*time.Second) }

func (s *Server) server(class Class, l limits) *http.Server {
	server := &http.Server{
		Handler:           s.guard(class, l),
		ReadHeaderTimeout: headerTime(l),
		ReadTimeout:       l.read,
		WriteTimeout:      l.write,
		IdleTimeout:       l.idle,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelWarn),
		ConnContext:       s.connected,
		ConnState:         s.connState,
	}
	if class != PlainFeed {
		server.SetKeepAlivesEnabled(false) // one stream carries one request
	}
	return server
}

// recheck cuts the plain connections that the snapshot would not accept now; the
// pool has the framed ones.
func (s *Server) recheck(now *identity.Snapshot) {
	n := 0
	for _, c := range s.plain.all() {
		if judge(now, c.chain(), time.Now()) != stays {
			c.Cut()
			n++
		}
	}
	if n > 0 {
		s.cfg.Pool.metrics.cut.Add(float64(n))
		s.cfg.Log.Info("plain connections cut, trust has changed", "connections", n)
	}
}

func (s *Server) keepChecking(ctx context.Context) {
	tick := time.NewTicker(recheckEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.recheck(s.cfg.Identity.Current())
		}
	}
}

// turnedAway tells of a refused handshake, seldom, because anyone can cause it.
func (s *Server) turnedAway(remote net.Addr, err error) {
	claim, ok := errors.AsType[*identity.VerifyError](err)
	if !ok {
		return
	}
	// Names that we do not know share one turn, so that they cannot take a peer's.
	peer, known := s.cfg.Identity.Current().Peer(claim.TrustDomain)
	if !s.refused.now(peer.TrustDomain) {
		return
	}
	s.cfg.Log.Info("connection refused", "remote", remote.String(), "claimed", claim.TrustDomain, "reason", claim.Reason)
	if known && s.cfg.Refused != nil {
		s.cfg.Refused(claim.TrustDomain, claim.Cause, claim.Reason)
	}
}
