// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package testca

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"testing"
	"time"
)

// Algorithm of a key.
type Algorithm string

// The algorithms.
const (
	ECDSA   Algorithm = "ecdsa-p256"
	RSA     Algorithm = "rsa-2048"
	Ed25519 Algorithm = "ed25519"
)

// Options say what a CA is like. The zero value is a P-256 root that is valid
// from an hour ago for ten years and issues leaves itself.
type Options struct {
	// Algorithm of all CA keys. Default ECDSA.
	Algorithm Algorithm
	// Intermediates between the root and the leaves.
	Intermediates int
	// NotBefore and NotAfter of all CA certificates.
	NotBefore, NotAfter time.Time
}

// CA is the certificate authority of one nation.
type CA struct {
	// TrustDomain that its leaves name unless they say otherwise.
	TrustDomain string
	// Root is the self-signed certificate.
	Root *x509.Certificate

	issuer    *x509.Certificate
	issuerKey crypto.Signer
	chain     []*x509.Certificate // intermediates, the issuer first
}

// New makes a CA, or ends the test.
func New(t testing.TB, trustDomain string, opts ...Options) *CA {
	t.Helper()
	var o Options
	if len(opts) > 0 {
		o = opts[0]
	}
	ca, err := Make(trustDomain, o)
	if err != nil {
		t.Fatalf("making a CA for %s: %v", trustDomain, err)
	}
	return ca
}

// Make makes a CA.
func Make(trustDomain string, o Options) (*CA, error) {
	if o.Algorithm == "" {
		o.Algorithm = ECDSA
	}
	if o.NotBefore.IsZero() {
		o.NotBefore = time.Now().Add(-time.Hour)
	}
	if o.NotAfter.IsZero() {
		o.NotAfter = time.Now().AddDate(10, 0, 0)
	}
	ca := &CA{TrustDomain: trustDomain}
	for i := range o.Intermediates + 1 {
		key, err := generate(o.Algorithm)
		if err != nil {
			return nil, err
		}
		name := trustDomain + " root CA"
		if i > 0 {
			name = fmt.Sprintf("%s intermediate CA %d", trustDomain, i)
		}
		cert, err := ca.sign(&x509.Certificate{
			Subject:               pkix.Name{CommonName: name},
			NotBefore:             o.NotBefore,
			NotAfter:              o.NotAfter,
			IsCA:                  true,
			BasicConstraintsValid: true,
			KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}, key.Public(), key)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			ca.Root = cert
		} else {
			ca.chain = append([]*x509.Certificate{cert}, ca.chain...)
		}
		ca.issuer, ca.issuerKey = cert, key
	}
	return ca, nil
}

// Bundle returns the root in PEM: what a peer's trust bundle holds.
func (ca *CA) Bundle() string { return string(EncodeCertificates(ca.Root)) }

// Sign issues a certificate for a public key from a template, whose serial is
// set, and returns the chain without the root, leaf first.
func (ca *CA) Sign(template *x509.Certificate, public crypto.PublicKey) ([]*x509.Certificate, error) {
	leaf, err := ca.sign(template, public, ca.issuerKey)
	if err != nil {
		return nil, err
	}
	return append([]*x509.Certificate{leaf}, ca.chain...), nil
}

// sign signs with the issuer, or as a root while there is none.
func (ca *CA) sign(template *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("choosing a serial: %w", err)
	}
	template.SerialNumber = serial
	parent, signer := ca.issuer, ca.issuerKey
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, fmt.Errorf("signing %q: %w", template.Subject.CommonName, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parsing the new certificate %q: %w", template.Subject.CommonName, err)
	}
	return cert, nil
}

// EncodeCertificates encodes certificates in PEM.
func EncodeCertificates(certs ...*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range certs {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return b.Bytes()
}

func generate(a Algorithm) (crypto.Signer, error) {
	switch a {
	case ECDSA:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RSA:
		return rsa.GenerateKey(rand.Reader, 2048)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	default:
		return nil, fmt.Errorf("unknown key algorithm %q", a)
	}
}
