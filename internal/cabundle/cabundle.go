// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package cabundle is a trust bundle: CA certificates in PEM, and the hashes by
// which programs and people name them. It serves operator, relay and tools alike.
//
// It promises that equal sets of certificates give equal text and equal hashes,
// in whatever order they come. It knows no clock: whether a certificate is valid
// now is for the caller to say.
package cabundle

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Limits of a trust bundle.
const (
	// MaxBytes is the longest trust bundle in PEM.
	MaxBytes = 32 << 10
	// MaxCertificates is the largest number of certificates in a bundle.
	MaxCertificates = 32
	// MaxRSABits is the largest RSA key of a CA in a bundle. Whoever claims to be the peer makes us verify with it, and one
	// that fills a bundle takes a second.
	MaxRSABits = 16384
)

// Parse reads a trust bundle: CA certificates in PEM (RFC 7468), at
// least one, nothing else. Text outside the PEM blocks is ignored.
func Parse(bundle string) ([]*x509.Certificate, error) {
	if len(bundle) > MaxBytes {
		return nil, fmt.Errorf("it has %d bytes, a bundle has at most %d", len(bundle), MaxBytes)
	}
	// Looked for in the text: a damaged block is none for the decoder.
	if strings.Contains(bundle, "PRIVATE KEY-----") {
		return nil, errors.New("it holds a private key: remove it, and consider it disclosed")
	}
	var certs []*x509.Certificate
	rest := []byte(bundle)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("PEM block %d is a %q, not a CERTIFICATE", len(certs)+1, block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d cannot be read: %w", len(certs)+1, err)
		}
		if !cert.BasicConstraintsValid || !cert.IsCA {
			return nil, fmt.Errorf("certificate %d (%q) is not that of a CA: put the CA's certificate here, not the relay's", len(certs)+1, subject(cert))
		}
		if key, ok := cert.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > MaxRSABits {
			return nil, fmt.Errorf("certificate %d (%q) has an RSA key of more than %d bits: a shorter one, or an ECDSA key, is as safe", len(certs)+1, subject(cert), MaxRSABits)
		}
		if certs = append(certs, cert); len(certs) > MaxCertificates {
			return nil, fmt.Errorf("it has more than %d certificates", MaxCertificates)
		}
	}
	// The decoder passes over what is damaged; a CA left out is found too late.
	if begun := strings.Count(bundle, "-----BEGIN"); begun != len(certs) {
		return nil, fmt.Errorf("of %d PEM blocks %d are damaged", begun, begun-len(certs))
	}
	if len(certs) == 0 {
		return nil, errors.New("it holds no certificate in PEM")
	}
	return certs, nil
}

// Encode writes certificates in PEM, sorted by their DER encoding, each once.
func Encode(certs []*x509.Certificate) string {
	var out bytes.Buffer
	for _, cert := range sorted(certs) {
		// Writing to a buffer cannot fail, and the block has no headers.
		_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	}
	return out.String()
}

// Fingerprint identifies a CERT by its name and its CA, for people who compare
// it over a telephone. It is the first 128 bits of
//
//	SHA-256(trust domain || 0x00 || DER of each CA certificate, sorted bytewise, each once)
//
// in eight groups of four hexadecimal digits, joined by '-'. Who wants to pass
// for another CERT must find a second preimage (2^128 work).
func Fingerprint(trustDomain string, certs []*x509.Certificate) string {
	h := sha256.New()
	h.Write([]byte(trustDomain))
	h.Write([]byte{0})
	for _, cert := range sorted(certs) {
		h.Write(cert.Raw)
	}
	digits := hex.EncodeToString(h.Sum(nil)[:16])
	groups := make([]string, 0, 8)
	for i := 0; i < len(digits); i += 4 {
		groups = append(groups, digits[i:i+4])
	}
	return strings.Join(groups, "-")
}

// SameFingerprint compares fingerprints as people write them: upper or lower
// case, with any of ' ', ':' and '-' between the digits. Neither may be shorter
// than a whole fingerprint.
func SameFingerprint(a, b string) bool {
	a, b = bare(a), bare(b)
	return len(a) == 32 && a == b
}

func bare(fingerprint string) string {
	return strings.ToLower(strings.NewReplacer(" ", "", ":", "", "-", "").Replace(fingerprint))
}

// Hash names one certificate: the SHA-256 over its DER encoding, in hexadecimal.
func Hash(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}

// KeyHash names the key of a certificate: the SHA-256 over its
// SubjectPublicKeyInfo, in hexadecimal. It stays when a certificate is renewed
// with the same key.
func KeyHash(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// Hashes are those of certificates, sorted, each once.
func Hashes(certs []*x509.Certificate) []string {
	all := make([]string, 0, len(certs))
	for _, cert := range certs {
		all = append(all, Hash(cert))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// SetHash names a set of certificates: the SHA-256 over their DER encodings,
// sorted bytewise, each once, in hexadecimal.
func SetHash(certs []*x509.Certificate) string {
	h := sha256.New()
	for _, cert := range sorted(certs) {
		h.Write(cert.Raw)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Union joins sets of certificates: sorted, each once.
func Union(sets ...[]*x509.Certificate) []*x509.Certificate { return sorted(slices.Concat(sets...)) }

func sorted(certs []*x509.Certificate) []*x509.Certificate {
	out := slices.Clone(certs)
	slices.SortFunc(out, func(a, b *x509.Certificate) int { return bytes.Compare(a.Raw, b.Raw) })
	return slices.CompactFunc(out, (*x509.Certificate).Equal)
}

// subject of a certificate, for people; bounded, because peers choose it.
func subject(cert *x509.Certificate) string {
	s := cert.Subject.String()
	if s == "" {
		return "no subject"
	}
	return strings.ToValidUTF8(s[:min(len(s), 120)], "")
}
