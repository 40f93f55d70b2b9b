// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/gate"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/problem"
	"github.com/certlink/certlink/relay/report"
)

// inbound is a connection that a peer opened.
type inbound struct {
	*gate.Conn
	// serial of the certificate that we showed.
	serial string
	// verified is the snapshot under which the chain was last verified; nil at first.
	verified atomic.Pointer[identity.Snapshot]
}

func (c *inbound) chain() []*x509.Certificate { return c.State.PeerCertificates }

type inboundKey struct{}

// connected puts the connection into the context of its requests.
func (s *Server) connected(ctx context.Context, conn net.Conn) context.Context {
	authenticated, ok := conn.(*gate.Conn)
	if !ok {
		return ctx // and so nobody
	}
	c := &inbound{Conn: authenticated, serial: s.cfg.Identity.Current().LinkSerial()}
	s.open.add(c)
	s.byConn.Store(authenticated, c)
	return context.WithValue(ctx, inboundKey{}, c)
}

// connState forgets a connection that has ended.
func (s *Server) connState(conn net.Conn, state http.ConnState) {
	if state != http.StateClosed && state != http.StateHijacked {
		return
	}
	if c, ok := s.byConn.LoadAndDelete(conn); ok {
		s.open.remove(c.(*inbound)) //nolint:errcheck // nothing else is stored
	}
}

// guard lets a request through that the peer may make on this class of connection.
func (s *Server) guard(class Class, l limits) http.Handler {
	next := s.cfg.Handlers[class]
	if next == nil {
		next = http.NotFoundHandler()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, err := s.peer(r)
		if err != nil {
			w.Header().Set("Connection", "close")
			problem.Write(w, http.StatusForbidden, err.Error())
			return
		}
		if !strings.HasPrefix(r.URL.Path, l.prefix) {
			problem.Write(w, http.StatusMisdirectedRequest, "this connection is for "+l.prefix+": other paths need another ALPN protocol")
			return
		}
		if !peer.Relay && class != Feed {
			problem.Write(w, http.StatusForbidden, "only the relay of a CERT may ask for this")
			return
		}
		if s.outdated(r) {
			w.Header().Set("Connection", "close")
		}
		r.Body = http.MaxBytesReader(w, r.Body, l.body)
		next.ServeHTTP(w, r.WithContext(access.WithPeer(r.Context(), peer)))
	})
}

// peer says who sent a request, as configured now. A chain that was verified
// under an older snapshot is verified again, once.
func (s *Server) peer(r *http.Request) (access.Peer, error) {
	c, ok := r.Context().Value(inboundKey{}).(*inbound)
	if !ok {
		return access.Peer{}, errNobody
	}
	now := s.cfg.Identity.Current()
	if c.verified.Load() != now {
		if _, _, err := now.VerifyPeer(c.chain()); err != nil {
			return access.Peer{}, errNobody
		}
		c.verified.Store(now)
	}
	id, err := spiffeid.FromURI(c.chain()[0].URIs[0])
	if err != nil {
		return access.Peer{}, errNobody
	}
	td := id.TrustDomain().Name()
	peer, known := now.Peer(td)
	if !known || peer.State == config.Revoked {
		return access.Peer{}, errNobody
	}
	return access.Peer{Name: peer.Name, TrustDomain: td, State: peer.State, Relay: id.Path() == "/relay"}, nil
}

// outdated tells whether the connection was opened under a certificate of ours
// that has been renewed: the peer is to see the new one before the old one ends.
func (s *Server) outdated(r *http.Request) bool {
	c, ok := r.Context().Value(inboundKey{}).(*inbound)
	return ok && c.serial != s.cfg.Identity.Current().LinkSerial()
}

// Session returns the TLS session of a request on the link port, as TLS facts for
// the report; false for a request that is not from there.
func Session(ctx context.Context) (report.TLS, bool) {
	c, ok := ctx.Value(inboundKey{}).(*inbound)
	if !ok {
		return report.TLS{}, false
	}
	return facts(c.State), true
}
