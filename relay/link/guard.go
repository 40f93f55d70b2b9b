// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/gate"
	"github.com/certlink/certlink/relay/problem"
)

// inbound is a plain connection that a client of a peer opened.
type inbound struct {
	*gate.Conn
	*proven
}

type carrierKey struct{}

// connected puts what carries them into the context of requests.
func (s *Server) connected(ctx context.Context, conn net.Conn) context.Context {
	switch c := conn.(type) {
	case *carried:
		return context.WithValue(ctx, carrierKey{}, carrier(c))
	case *gate.Conn:
		plain := &inbound{Conn: c, proven: newProven(&c.State, s.cfg.Identity.Current().LinkSerial())}
		s.plain.add(plain)
		s.byConn.Store(c, plain)
		return context.WithValue(ctx, carrierKey{}, carrier(plain))
	default:
		return ctx // and so nobody
	}
}

// connState forgets a plain connection that has ended.
func (s *Server) connState(conn net.Conn, state http.ConnState) {
	if state != http.StateClosed && state != http.StateHijacked {
		return
	}
	if c, ok := s.byConn.LoadAndDelete(conn); ok {
		s.plain.remove(c.(*inbound)) //nolint:errcheck // nothing else is stored
	}
}

// guard lets a request through that the peer may make on this class of connection,
// whoever dialled it.
func (s *Server) guard(class Class, l limits) http.Handler {
	serves := class
	if class == PlainFeed {
		serves = Feed
	}
	next := s.cfg.Handlers[serves]
	if next == nil {
		next = http.NotFoundHandler()
	}
	switch class {
	case Probe:
		next = s.heartbeatOr(next)
	case Hotline:
		next = fewLarge(l, next)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := r.Context().Value(carrierKey{}).(carrier)
		if !ok {
			problem.Write(w, http.StatusForbidden, errNobody.Error())
			return
		}
		peer, err := s.who(c.session())
		if err != nil {
			w.Header().Set("Connection", "close")
			problem.Write(w, http.StatusForbidden, err.Error())
			return
		}
		if !l.allows(r.URL.Path) {
			problem.Write(w, http.StatusMisdirectedRequest, "this connection is not for "+r.URL.Path+": each class of paths has its ALPN protocol")
			return
		}
		if !peer.Relay && class != PlainFeed {
			problem.Write(w, http.StatusForbidden, "only the relay of a CERT may ask for this")
			return
		}
		if c.session().serial != s.cfg.Identity.Current().LinkSerial() {
			// The peer is to see our renewed certificate before the old one ends.
			w.Header().Set("Connection", "close")
		}
		r.Body = http.MaxBytesReader(w, r.Body, l.body)
		next.ServeHTTP(w, r.WithContext(access.WithPeer(r.Context(), peer)))
	})
}

// who says who is at the other end, as configured now. A chain that was verified
// under an older snapshot is verified again, once. What arrives on a connection
// that drains began before it did.
func (s *Server) who(c *proven) (access.Peer, error) {
	now := s.cfg.Identity.Current()
	if c.verified.Load() != now {
		if judge(now, c.chain(), time.Now()) == falls {
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

// isRelay tells whether a verified chain is that of a relay.
func isRelay(chain []*x509.Certificate) bool {
	if len(chain) == 0 || len(chain[0].URIs) != 1 {
		return false
	}
	id, err := spiffeid.FromURI(chain[0].URIs[0])
	return err == nil && id.Path() == "/relay"
}

// PathOf returns the path over which a request of a peer came; false for a request
// on a plain connection.
func PathOf(ctx context.Context) (Path, bool) {
	c, ok := ctx.Value(carrierKey{}).(*carried)
	if !ok {
		return Path{}, false
	}
	return c.on.path.Path, true
}
