// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package testca

import (
	"crypto"
	"crypto/tls"
	"fmt"
)

// Load takes up the CA of a real nation by its root certificate and key in PEM,
// to play one whose key misbehaves.
func Load(trustDomain string, certPEM, keyPEM []byte) (*CA, error) {
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("loading the CA of %s: %w", trustDomain, err)
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("loading the CA of %s: its key is a %T", trustDomain, pair.PrivateKey)
	}
	return &CA{TrustDomain: trustDomain, Root: pair.Leaf, issuer: pair.Leaf, issuerKey: key}, nil
}
