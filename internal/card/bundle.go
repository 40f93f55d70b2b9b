// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package card

import (
	"crypto/x509"

	"github.com/certlink/certlink/internal/cabundle"
)

// Limits of a trust bundle.
const (
	// MaxBundleBytes is the longest trust bundle in PEM.
	MaxBundleBytes = cabundle.MaxBytes
	// MaxCertificates is the largest number of certificates in a bundle.
	MaxCertificates = cabundle.MaxCertificates
)

// Certificates reads a trust bundle, as cabundle.Parse does.
func Certificates(bundle string) ([]*x509.Certificate, error) { return cabundle.Parse(bundle) }

// Bundle writes certificates in PEM, as cabundle.Encode does.
func Bundle(certs []*x509.Certificate) string { return cabundle.Encode(certs) }

// Fingerprint identifies a CERT by its name and its CA, as cabundle.Fingerprint does.
func Fingerprint(trustDomain string, certs []*x509.Certificate) string {
	return cabundle.Fingerprint(trustDomain, certs)
}

// SameFingerprint compares fingerprints as people write them.
func SameFingerprint(a, b string) bool { return cabundle.SameFingerprint(a, b) }
