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

	"github.com/certlink/certlink/relay/gate"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/report"
)

// drain is how long requests may go on after the context ended.
const drain = 8 * time.Second

// ServerConfig is what a Server needs.
type ServerConfig struct {
	// Listener accepts the peers' TCP connections; Run closes it. Required.
	Listener net.Listener
	// Identity says who we are and whom we trust. Required.
	Identity *identity.Source
	// Handlers serve the classes; a class without one answers 404.
	Handlers map[Class]http.Handler
	// Refused is told of a handshake in which someone claimed, without proof, to
	// be the peer of this trust domain; at most once a second for each. May be nil.
	Refused func(trustDomain string, cause report.Cause, message string)
	// Log is required.
	Log *slog.Logger
	// Metrics is where metrics are registered. Required.
	Metrics prometheus.Registerer
}

// Server is the link port.
type Server struct {
	cfg     ServerConfig
	gate    *gate.Gate
	open    *registry
	refused *sometimes
	byConn  sync.Map // *gate.Conn to *inbound
	cut     prometheus.Counter
}

// NewServer checks the configuration. Nothing is accepted before Run.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Identity == nil || cfg.Log == nil || cfg.Metrics == nil {
		return nil, errors.New("link server needs an identity, a logger and metrics")
	}
	s := &Server{cfg: cfg, open: newRegistry(), refused: newSometimes(time.Second)}
	s.cut = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "certlink_relay_link_cut_total", Help: "Connections of peers that were cut because trust had changed.",
	})
	cfg.Metrics.MustRegister(s.cut)
	held := map[string]int{}
	for class, l := range classes {
		held[string(class)] = l.held
	}
	var err error
	s.gate, err = gate.New(gate.Config{
		Listener:  cfg.Listener,
		TLS:       func() *tls.Config { return cfg.Identity.Current().LinkServer(protocols) },
		Protocols: held,
		Client:    client,
		Refused:   s.turnedAway,
		Log:       cfg.Log,
		Metrics:   gate.NewMetrics(cfg.Metrics, "link"),
	})
	if err != nil {
		return nil, fmt.Errorf("building the link port: %w", err)
	}
	cfg.Identity.OnChange(s.recheck)
	return s, nil
}

// client names the trust domain of a connection that VerifyConnection accepted.
func client(state tls.ConnectionState) (string, error) {
	if len(state.PeerCertificates) == 0 || len(state.PeerCertificates[0].URIs) != 1 {
		return "", errors.New("the connection has no identity")
	}
	return state.PeerCertificates[0].URIs[0].Host, nil
}

// Run accepts and serves until the context ends, then lets requests finish for a
// while. It needs a snapshot of the identity.
func (s *Server) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.gate.Run(ctx) })
	group.Go(func() error { s.keepChecking(ctx); return nil })
	for class, l := range classes {
		server := s.server(class, l)
		group.Go(func() error {
			if err := server.Serve(s.gate.Listener(string(class))); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serving %s: %w", class, err)
			}
			return nil
		})
		group.Go(func() error {
			<-ctx.Done()
			return shutDown(server)
		})
	}
	return group.Wait()
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

func (s *Server) server(class Class, l limits) *http.Server {
	return &http.Server{
		Handler:           s.guard(class, l),
		ReadHeaderTimeout: min(l.read, 10*time.Second),
		ReadTimeout:       l.read,
		WriteTimeout:      l.write,
		IdleTimeout:       l.idle,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelWarn),
		ConnContext:       s.connected,
		ConnState:         s.connState,
	}
}

func (s *Server) recheck(now *identity.Snapshot) {
	if n := s.open.recheck(now); n > 0 {
		s.cut.Add(float64(n))
		s.cfg.Log.Info("connections cut, trust has changed", "connections", n)
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
