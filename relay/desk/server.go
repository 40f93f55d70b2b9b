// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/gate"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/problem"
	"github.com/certlink/certlink/relay/report"
)

// Bounds of the local port, whose clients are our own.
const (
	protocol       = "http/1.1"
	maxHeaderBytes = 16 << 10
	readTimeout    = time.Minute
	writeTimeout   = 5 * time.Minute // more than report.MaxWait, and a page to a slow tool
	idleTimeout    = 2 * report.MaxWait
	heldPerClient  = 256
	drain          = 8 * time.Second
)

// ServerConfig is what a Server needs.
type ServerConfig struct {
	// Listener accepts the TCP connections; Run closes it. Required.
	Listener net.Listener
	// Identity has our certificate and the CA of our clients. Required.
	Identity *identity.Source
	// Handler serves requests that have a role. Required.
	Handler http.Handler
	// Log is required.
	Log *slog.Logger
	// Metrics is where metrics are registered. Required.
	Metrics prometheus.Registerer
}

// Server is the local port: mutual TLS with our own CA, and a role from the
// client's SPIFFE ID.
type Server struct {
	cfg  ServerConfig
	gate *gate.Gate
	// desk says which officers there are; nil before Apply: none.
	desk atomic.Pointer[config.Desk]
	// pages are those of other sites, in the browser of an officer who has put the certificate there.
	pages *http.CrossOriginProtection
}

// NewServer checks the configuration. Nothing is accepted before Run.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Identity == nil || cfg.Handler == nil || cfg.Log == nil || cfg.Metrics == nil {
		return nil, errors.New("local server needs an identity, a handler, a logger and metrics")
	}
	s := &Server{cfg: cfg, pages: http.NewCrossOriginProtection()}
	var err error
	s.gate, err = gate.New(gate.Config{
		Listener:  cfg.Listener,
		TLS:       func() *tls.Config { return cfg.Identity.Current().LocalServer([]string{protocol}, s.allowed) },
		Protocols: map[string]int{protocol: heldPerClient},
		Client:    clientName,
		Refused: func(remote net.Addr, err error) {
			cfg.Log.Debug("local connection refused", "remote", remote.String(), "error", err)
		},
		Log:     cfg.Log,
		Metrics: gate.NewMetrics(cfg.Metrics, "local"),
	})
	if err != nil {
		return nil, fmt.Errorf("building the local port: %w", err)
	}
	return s, nil
}

// Apply takes the officers of a new live configuration. From now on a request of one that
// is not there is refused, over open connections too.
func (s *Server) Apply(c *config.Config) { s.desk.Store(&c.Desk) }

// Run accepts and serves until the context ends, then lets requests finish for a
// while.
func (s *Server) Run(ctx context.Context) error {
	server := &http.Server{
		Handler:           s.admit(s.cfg.Handler),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelWarn),
		ConnContext:       connected,
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.gate.Run(ctx) })
	group.Go(func() error {
		if err := server.Serve(s.gate.Listener(protocol)); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serving the local port: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		limit, cancel := context.WithTimeout(context.Background(), drain)
		defer cancel()
		if server.Shutdown(limit) != nil {
			return server.Close()
		}
		return nil
	})
	return group.Wait()
}

type connKey struct{}

// connected puts the connection into the context of its requests.
func connected(ctx context.Context, conn net.Conn) context.Context {
	authenticated, ok := conn.(*gate.Conn)
	if !ok {
		return ctx // and so nobody
	}
	return context.WithValue(ctx, connKey{}, authenticated)
}

// admit gives a request its role and identity. The client is verified for each request:
// since the handshake its certificate may have ended, its CA may have been replaced, or
// its officer removed. A browser shows the certificate for whichever page makes it ask: what a page of
// another site wants to change is refused.
func (s *Server) admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := r.Context().Value(connKey{}).(*gate.Conn)
		if !ok {
			problem.Write(w, http.StatusForbidden, "the connection has no identity")
			return
		}
		id, err := s.cfg.Identity.Current().VerifyLocal(c.State.PeerCertificates)
		if err == nil {
			err = s.allowed(id)
		}
		if err != nil {
			w.Header().Set("Connection", "close")
			problem.Write(w, http.StatusForbidden, err.Error())
			return
		}
		if s.pages.Check(r) != nil {
			problem.Write(w, http.StatusForbidden, "a page of another site asks for this through your browser: use kubectl certlink, and keep the certificate out of browsers")
			return
		}
		role, _, _ := roleOf(id.Path())
		ctx := access.WithIdentity(access.WithRole(r.Context(), role), id.String())
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
