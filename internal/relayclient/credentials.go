// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayclient

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// The keys of a Secret of type kubernetes.io/tls as cert-manager writes it.
const (
	KeyCertificate = "tls.crt"
	KeyPrivateKey  = "tls.key"
	KeyCA          = "ca.crt"
)

// Credentials are a client certificate of our own CA and that CA.
type Credentials struct {
	certificate tls.Certificate
	authorities *x509bundle.Bundle
	relay       spiffeid.ID
}

// Identity is the SPIFFE ID of the certificate, as it claims; empty if it has none.
func (c Credentials) Identity() string {
	id, err := x509svid.IDFromCert(c.certificate.Leaf)
	if err != nil {
		return ""
	}
	return id.String()
}

// ParseCredentials reads the data of a Secret with the client certificate of a
// desk or tool, for the relay of a trust domain. Its errors name the key that is
// wrong, and hold nothing of its content.
func ParseCredentials(trustDomain string, secret map[string][]byte) (Credentials, error) {
	domain, err := spiffeid.TrustDomainFromString(trustDomain)
	if err != nil {
		return Credentials{}, fmt.Errorf("reading trust domain %q: %w", trustDomain, err)
	}
	relay, err := spiffeid.FromPath(domain, "/local")
	if err != nil {
		return Credentials{}, fmt.Errorf("naming the relay of %q: %w", trustDomain, err)
	}
	for _, key := range []string{KeyCertificate, KeyPrivateKey, KeyCA} {
		if len(secret[key]) == 0 {
			return Credentials{}, fmt.Errorf("key %q is missing or empty", key)
		}
	}
	pair, err := tls.X509KeyPair(secret[KeyCertificate], secret[KeyPrivateKey])
	if err != nil {
		return Credentials{}, fmt.Errorf("keys %q and %q are not a certificate and its private key: %w", KeyCertificate, KeyPrivateKey, err)
	}
	authorities, err := x509bundle.Parse(domain, secret[KeyCA])
	if err != nil {
		return Credentials{}, fmt.Errorf("key %q holds no CA certificates: %w", KeyCA, err)
	}
	return Credentials{certificate: pair, authorities: authorities, relay: relay}, nil
}

// TLS returns a client configuration that talks to the relay's local port and to
// nothing else. Sessions are not resumed, so every connection is verified.
func (c Credentials) TLS() *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{c.certificate},
		NextProtos:   []string{"http/1.1"},
		// The name to verify is a SPIFFE ID, which VerifyConnection does.
		InsecureSkipVerify: true,
		VerifyConnection:   c.verify,
	}
}

func (c Credentials) verify(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the relay showed no certificate")
	}
	id, _, err := x509svid.Verify(state.PeerCertificates, c.authorities, x509svid.WithTime(time.Now()))
	if err != nil {
		return fmt.Errorf("verifying the relay's certificate against our own CA: %w", err)
	}
	if id != c.relay {
		return fmt.Errorf("the certificate is that of %s, not of %s", id, c.relay)
	}
	return nil
}
