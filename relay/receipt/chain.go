// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"crypto/ed25519"
	"crypto/x509"
	"fmt"
	"time"
)

// Chain is a signer's certificate chain that was verified.
type Chain struct {
	// TrustDomain of the signer, and the key that signs.
	TrustDomain string
	Key         ed25519.PublicKey
	// From and Until bound when all certificates that were shown are valid.
	From, Until time.Time
}

// OpenChain verifies the chain of a signer, in DER with the leaf first, by the rules for
// statements, at the time now. It is for signatures in other forms. Its errors are an *Error.
func OpenChain(v Verifier, ders [][]byte, now time.Time) (Chain, error) {
	if len(ders) == 0 || len(ders) > MaxChain {
		return Chain{}, refuse(ErrMalformed, fmt.Errorf("%d certificates are not within 1 to %d", len(ders), MaxChain))
	}
	chain := make([]*x509.Certificate, 0, len(ders))
	for _, der := range ders {
		c, err := readCertificate(der)
		if err != nil {
			return Chain{}, err
		}
		chain = append(chain, c)
	}
	id, err := verifySigner(v, chain, now)
	if err != nil {
		return Chain{}, err
	}
	key, _ := chain[0].PublicKey.(ed25519.PublicKey) // verifySigner has seen it
	out := Chain{TrustDomain: id.TrustDomain().Name(), Key: key, From: chain[0].NotBefore, Until: chain[0].NotAfter}
	for _, c := range chain[1:] {
		if c.NotBefore.After(out.From) {
			out.From = c.NotBefore
		}
		if c.NotAfter.Before(out.Until) {
			out.Until = c.NotAfter
		}
	}
	return out, nil
}
