// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"crypto/tls"
	"strings"
	"sync"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// groups of the key exchange, the hybrid post-quantum one first.
var groups = []tls.CurveID{tls.X25519MLKEM768, tls.X25519}

// base is what every connection of ours has: TLS 1.3, no resumption (a ticket
// would outlive the trust that it was issued under).
func base(cert *tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		CurvePreferences:       groups,
		SessionTicketsDisabled: true,
		Certificates:           []tls.Certificate{*cert},
	}
}

// sharedConfigs bounds the configurations that a snapshot keeps: some for each
// endpoint of each peer.
const sharedConfigs = 1 << 12

// configKey names a configuration of the link: the server's has no trust domain.
type configKey struct{ trustDomain, host, protocols string }

// configs are those in use. Every connection holds on to its configuration, so a
// thousand of them share one.
type configs struct {
	mu  sync.Mutex
	all map[configKey]*tls.Config
}

// get returns the configuration of a key, built when it is first asked for.
func (s *configs) get(key configKey, build func() *tls.Config) *tls.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.all[key]
	if c == nil {
		c = build()
		if len(s.all) < sharedConfigs {
			s.all[key] = c
		}
	}
	return c
}

// LinkServer is the configuration of handshakes with peers that dial us, who
// may ask for one of the protocols. It is shared: the caller does not change it.
func (s *Snapshot) LinkServer(protocols []string) *tls.Config {
	return s.configs.get(configKey{protocols: strings.Join(protocols, ",")}, func() *tls.Config { return s.linkServer(protocols) })
}

func (s *Snapshot) linkServer(protocols []string) *tls.Config {
	c := base(&s.own.link.pair)
	c.NextProtos = protocols
	// Whether to trust is decided below, against the bundle of the one trust
	// domain that the leaf names; a joint pool could not do that.
	c.ClientAuth = tls.RequireAnyClientCert
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		_, err := s.handshake(cs.PeerCertificates)
		return err
	}
	return c
}

// LinkClient is the configuration of connections to the relay of the trust
// domain at a host, for one protocol. It is shared: the caller does not change it.
func (s *Snapshot) LinkClient(trustDomain, host, protocol string) *tls.Config {
	return s.configs.get(configKey{trustDomain, host, protocol}, func() *tls.Config { return s.linkClient(trustDomain, host, protocol) })
}

func (s *Snapshot) linkClient(trustDomain, host, protocol string) *tls.Config {
	c := base(&s.own.link.pair)
	c.NextProtos = []string{protocol}
	// The host name only serves those who route by it on the way (SNI); it proves
	// nothing. VerifyConnection checks the SPIFFE ID against the peer's own bundle.
	c.ServerName = host
	c.InsecureSkipVerify = true
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		return s.verifyExpected(cs.PeerCertificates, trustDomain)
	}
	return c
}

// LocalServer is the configuration of one handshake on the local port. Allow is
// asked about each client that our own CA vouches for.
func (s *Snapshot) LocalServer(protocols []string, allow func(spiffeid.ID) error) *tls.Config {
	c := base(&s.own.local.pair)
	c.NextProtos = protocols
	c.ClientAuth = tls.RequireAnyClientCert
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		id, err := s.VerifyLocal(cs.PeerCertificates)
		if err != nil {
			return err
		}
		return allow(id)
	}
	return c
}
