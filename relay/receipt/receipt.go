// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package receipt signs and opens the statements that two relays exchange: a
// hotline message, the receipt for it, and an offer. A statement is a compact JWS (RFC
// 7515) by an Ed25519 key, with the signer's certificate chain in x5c and the
// kind of statement in typ.
//
// It promises that a payload which Open returns was signed by the certificate
// spiffe://TRUSTDOMAIN/signing of the trust domain that Opened names, that this
// certificate chains to the bundle held for that very trust domain, and that it
// was signed as the kind of statement that was asked for. Identity comes from
// the leaf alone; a bundle vouches for its own trust domain and no other.
// Everything is bounded before it is decoded.
//
// It does not know what a payload means, whether it was seen before, or whether
// the signer may say it: packages hotline and store decide that.
package receipt

import (
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
)

// Bounds of a statement.
const (
	// MaxBytes is the longest statement.
	MaxBytes = 128 << 10
	// MaxHeaderBytes is the longest header, encoded.
	MaxHeaderBytes = 24 << 10
	// MaxChain is the largest number of certificates in a header: a leaf and
	// three intermediates.
	MaxChain = 4
	// MaxPayloadBytes is the longest payload that fits with any header.
	MaxPayloadBytes = (MaxBytes - MaxHeaderBytes - 128) / 4 * 3
)

// signingPath is the path of the SPIFFE ID that may sign.
const signingPath = "/signing"

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

// Opened is a statement whose signature and signer were verified.
type Opened struct {
	// Payload exactly as it was signed.
	Payload []byte
	// TrustDomain of the signer.
	TrustDomain string
	// Leaf is the signer's certificate, Chain it and what was shown behind it.
	Leaf  *x509.Certificate
	Chain []*x509.Certificate
}

// Sign makes a statement of the kind typ. As Ed25519 is deterministic, the same
// payload and identity give the same bytes.
func Sign(s Signer, typ string, payload []byte) ([]byte, error) {
	chain, key := s.SigningChain()
	if len(chain) == 0 || key == nil {
		return nil, errors.New("signing: there is no signing certificate")
	}
	if _, ok := key.Public().(ed25519.PublicKey); !ok {
		return nil, fmt.Errorf("signing: the key is %T, not Ed25519", key.Public())
	}
	if len(chain) > MaxChain {
		return nil, fmt.Errorf("signing: a chain of %d certificates is longer than %d", len(chain), MaxChain)
	}
	x5c := make([]string, 0, len(chain))
	for _, c := range chain {
		x5c = append(x5c, base64.StdEncoding.EncodeToString(c.Raw))
	}
	options := (&jose.SignerOptions{}).WithType(jose.ContentType(typ)).WithHeader("x5c", x5c)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: cryptosigner.Opaque(key)}, options)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	if len(compact) > MaxBytes {
		return nil, fmt.Errorf("signing: the statement has %d bytes, more than %d", len(compact), MaxBytes)
	}
	return []byte(compact), nil
}

// Open verifies a statement of the kind typ at the time now. Its errors are an
// *Error with what is wrong.
func Open(v Verifier, typ string, jws []byte, now time.Time) (Opened, error) {
	header, err := readHeader(jws)
	if err != nil {
		return Opened{}, err
	}
	if header.Type != typ {
		return Opened{}, refuse(ErrType, fmt.Errorf("it is a %q, not a %q", printable(header.Type), typ))
	}
	chain, err := readChain(header.Chain)
	if err != nil {
		return Opened{}, err
	}
	id, err := verifySigner(v, chain, now)
	if err != nil {
		return Opened{}, err
	}
	signed, err := jose.ParseSignedCompact(string(jws), []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return Opened{}, refuse(ErrMalformed, err)
	}
	payload, err := signed.Verify(chain[0].PublicKey)
	if err != nil {
		return Opened{}, refuse(ErrSignature, fmt.Errorf("of %s: %w", id, err))
	}
	return Opened{Payload: payload, TrustDomain: id.TrustDomain().Name(), Leaf: chain[0], Chain: chain}, nil
}

// Content returns the payload of a statement without verifying anything. It is
// for statements that are our own, from our own store.
func Content(jws []byte) ([]byte, error) {
	signed, err := jose.ParseSignedCompact(string(jws), []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return nil, fmt.Errorf("reading a stored statement: %w", err)
	}
	return signed.UnsafePayloadWithoutVerification(), nil
}
