// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package receipt signs and opens the statements that two relays exchange: a
// hotline message and the receipt for it. A statement is a compact JWS (RFC
// 7515) by an Ed25519 key, with the signer's certificate chain in x5c and the
// kind of statement in typ.
//
// It promises that a payload which Open returns was signed by the certificate
// spiffe://TRUSTDOMAIN/signing of the trust domain that Opened names, that this
// certificate chains to the bundle held for that very trust domain, and that it
// was signed as the kind of statement that was asked for. Identity comes from
// the leaf alone; a bundle vouches for its own trust domain and no other.
//
// It does not know what a payload means, whether it was seen before, or whether
// the signer may say it: packages hotline and store decide that.
package receipt

import (
	"crypto"
	"crypto/x509"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
)

// Signer is our own signing identity. It must be safe concurrently.
type Signer interface {
	// SigningChain returns the leaf spiffe://TRUSTDOMAIN/signing, then its
	// intermediates, and the leaf's Ed25519 key.
	SigningChain() (chain []*x509.Certificate, key crypto.Signer)
}

// Verifier holds the bundle of each trust domain that may sign: those of our
// peers and our own. A trust domain without a bundle is nobody. It must be safe
// concurrently.
type Verifier = x509bundle.Source
