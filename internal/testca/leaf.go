// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package testca

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Leaf says what an end-entity certificate is like.
type Leaf struct {
	// Path of the SPIFFE ID, for example "/relay". Empty: no URI SAN at all.
	Path string
	// TrustDomain of the SPIFFE ID. Default: that of the CA.
	TrustDomain string
	// DNSNames and IPs besides localhost and the loopback addresses.
	DNSNames []string
	IPs      []net.IP
	// NotBefore and NotAfter. Default: an hour ago, and in 90 days.
	NotBefore, NotAfter time.Time
	// Algorithm of the key. Default: Ed25519 for "/signing", else ECDSA.
	Algorithm Algorithm
}

// Pair is an issued certificate with its key.
type Pair struct {
	// Chain holds the leaf and the intermediates.
	Chain []*x509.Certificate
	// Key of the leaf.
	Key crypto.Signer
	// CertPEM is the chain, KeyPEM the key (PKCS 8), CAPEM the root.
	CertPEM, KeyPEM, CAPEM []byte
}

// Leaf issues a certificate, or ends the test.
func (ca *CA) Leaf(t testing.TB, l Leaf) Pair {
	t.Helper()
	p, err := ca.Issue(l)
	if err != nil {
		t.Fatalf("issuing %s for %s: %v", l.Path, ca.TrustDomain, err)
	}
	return p
}

// Issue issues a certificate.
func (ca *CA) Issue(l Leaf) (Pair, error) {
	if l.TrustDomain == "" {
		l.TrustDomain = ca.TrustDomain
	}
	if l.NotBefore.IsZero() {
		l.NotBefore = time.Now().Add(-time.Hour)
	}
	if l.NotAfter.IsZero() {
		l.NotAfter = time.Now().AddDate(0, 0, 90)
	}
	if l.Algorithm == "" {
		l.Algorithm = ECDSA
		if l.Path == "/signing" {
			l.Algorithm = Ed25519
		}
	}
	key, err := generate(l.Algorithm)
	if err != nil {
		return Pair{}, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: l.TrustDomain + l.Path},
		DNSNames:              append([]string{"localhost"}, l.DNSNames...),
		IPAddresses:           append([]net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, l.IPs...),
		NotBefore:             l.NotBefore,
		NotAfter:              l.NotAfter,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if l.Path != "" {
		template.URIs = []*url.URL{{Scheme: "spiffe", Host: l.TrustDomain, Path: l.Path}}
	}
	chain, err := ca.Sign(template, key.Public())
	if err != nil {
		return Pair{}, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("encoding a key: %w", err)
	}
	return Pair{
		Chain:   chain,
		Key:     key,
		CertPEM: EncodeCertificates(chain...),
		KeyPEM:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
		CAPEM:   EncodeCertificates(ca.Root),
	}, nil
}

// TLS returns the pair for use in a tls.Config.
func (p Pair) TLS() tls.Certificate {
	c := tls.Certificate{PrivateKey: p.Key, Leaf: p.Chain[0]}
	for _, cert := range p.Chain {
		c.Certificate = append(c.Certificate, cert.Raw)
	}
	return c
}

// Write lays out tls.crt, tls.key and ca.crt in the directory as the kubelet
// mounts a Secret: the names are links through "..data", which is replaced in one
// step, so a reader sees either the old pair or the new one.
func (p Pair) Write(dir string) error {
	return WriteVolume(dir, map[string][]byte{"tls.crt": p.CertPEM, "tls.key": p.KeyPEM, "ca.crt": p.CAPEM})
}

// WriteTo is Write, ending the test on an error, and returns the directory.
func (p Pair) WriteTo(t testing.TB, dir string) string {
	t.Helper()
	if err := p.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// WriteVolume writes files into the directory as the kubelet updates a mounted
// Secret or ConfigMap.
func WriteVolume(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making volume: %w", err)
	}
	version, err := os.MkdirTemp(dir, "..v")
	if err != nil {
		return fmt.Errorf("making a version of volume %q: %w", dir, err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(version, name), data, 0o600); err != nil {
			return fmt.Errorf("writing volume %q: %w", dir, err)
		}
	}
	data := filepath.Join(dir, "..data")
	old, _ := os.Readlink(data) // absent at first
	next := data + "_tmp"
	if err := os.Symlink(filepath.Base(version), next); err != nil {
		return fmt.Errorf("linking volume %q: %w", dir, err)
	}
	if err := os.Rename(next, data); err != nil {
		return fmt.Errorf("swapping volume %q: %w", dir, err)
	}
	for name := range files {
		err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name))
		if err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("linking %q in volume %q: %w", name, dir, err)
		}
	}
	if old != "" {
		return os.RemoveAll(filepath.Join(dir, old))
	}
	return nil
}
