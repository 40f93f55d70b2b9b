// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package relaytest serves any handler as a relay's local port, over mutual TLS
// 1.3 on loopback, for tests of its clients.
package relaytest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/internal/testca"
)

// TrustDomain of the relay.
const TrustDomain = "alfa.example"

// Relay is a local port.
type Relay struct {
	// CA of the relay's CERT.
	CA *testca.CA
	// Break is the number of connections that are cut as soon as they are made.
	Break atomic.Int32

	server *httptest.Server
}

// New serves handler with a certificate of the given leaf; its zero value is
// that of a relay's local port.
func New(t testing.TB, handler http.Handler, leaf testca.Leaf) *Relay {
	t.Helper()
	if leaf.Path == "" {
		leaf.Path = "/local"
	}
	r := &Relay{CA: testca.New(t, TrustDomain)}
	clients := x509.NewCertPool()
	clients.AddCert(r.CA.Root)
	r.server = httptest.NewUnstartedServer(handler)
	r.server.TLS = &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{r.CA.Leaf(t, leaf).TLS()},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    clients,
	}
	r.server.StartTLS()
	t.Cleanup(r.server.Close)
	return r
}

// Secret is that of a desk of ca.
func Secret(t testing.TB, ca *testca.CA) map[string][]byte {
	t.Helper()
	pair := ca.Leaf(t, testca.Leaf{Path: "/desk"})
	return map[string][]byte{
		relayclient.KeyCertificate: pair.CertPEM,
		relayclient.KeyPrivateKey:  pair.KeyPEM,
		relayclient.KeyCA:          pair.CAPEM,
	}
}

// Client returns a client of the relay with the Secret of a desk.
func (r *Relay) Client(t testing.TB, secret map[string][]byte) *relayclient.Client {
	t.Helper()
	credentials, err := relayclient.ParseCredentials(TrustDomain, secret)
	if err != nil {
		t.Fatal(err)
	}
	c := relayclient.New(credentials, r.dial)
	t.Cleanup(c.Close)
	return c
}

// Desk serves handler as a relay and returns a client of it.
func Desk(t testing.TB, handler http.Handler) *relayclient.Client {
	t.Helper()
	r := New(t, handler, testca.Leaf{})
	return r.Client(t, Secret(t, r.CA))
}

func (r *Relay) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", r.server.Listener.Addr().String())
	if err == nil && r.Break.Add(-1) >= 0 {
		conn.Close()
	}
	return conn, err
}
