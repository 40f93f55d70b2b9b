// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/store"
)

// maxSigners is the largest number of certificate chains that are remembered.
const maxSigners = 64

// standing of a signer now.
type standing int

const (
	// signerUnknown: the chain does not lead to the bundle that we hold of ourselves, or
	// is not for signing.
	signerUnknown standing = iota
	// signerExpired: it did while it was valid.
	signerExpired
	signerGood
)

// signer is who signed checkpoints.
type signer struct {
	key      ed25519.PublicKey
	standing standing
}

// signers opens the checkpoints of our journal, and tells who signed them.
type signers struct {
	bundles receipt.Verifier
	want    spiffeid.ID
	origin  string
	now     time.Time
	known   map[string]signer

	expired, unknown, proven int64
	last                     store.Hash
}

func newSigners(identity Identity, origin string, now time.Time) *signers {
	s := &signers{bundles: identity, origin: origin, now: now, known: map[string]signer{}}
	if td, err := spiffeid.TrustDomainFromString(identity.TrustDomain()); err == nil {
		s.want, _ = spiffeid.FromPath(td, "/signing") // zero on error, which is nobody
	}
	return s
}

// open verifies the signature of a checkpoint over what is stored beside it, and counts
// the signer. It returns what is wrong, or "".
func (s *signers) open(c store.Checkpoint) string {
	by, ok := s.known[string(c.Chain)]
	if !ok {
		var err error
		if by, err = s.judge(c.Chain); err != nil {
			return "the certificates beside the checkpoint cannot be read"
		}
		if len(s.known) < maxSigners {
			s.known[string(c.Chain)] = by
		}
	}
	opened, err := journal.OpenCheckpoint(c.Signed, s.origin, by.key)
	if err != nil {
		return "the checkpoint is not signed by the certificate beside it, or is of another log"
	}
	if opened.Tree != treeOf(c) {
		return "the checkpoint says another size or root than was stored with it"
	}
	switch by.standing {
	case signerUnknown:
		s.unknown++
	case signerExpired:
		s.expired++
		s.proven = c.Size
	default:
		s.proven = c.Size
	}
	s.last = c.Root
	return ""
}

// judge reads a chain and tells what it is worth now.
func (s *signers) judge(der []byte) (signer, error) {
	chain, err := x509.ParseCertificates(der)
	if err != nil || len(chain) == 0 || len(chain) > receipt.MaxChain {
		return signer{}, errors.Join(errors.New("reading the chain of a checkpoint"), err)
	}
	by := signer{}
	by.key, _ = chain[0].PublicKey.(ed25519.PublicKey) // a key of another kind opens nothing
	if id, err := x509svid.IDFromCert(chain[0]); !holds(err) || s.want.IsZero() || id != s.want {
		return by, nil
	}
	if _, _, err := x509svid.Verify(chain, s.bundles, x509svid.WithTime(s.now)); err == nil {
		by.standing = signerGood
		return by, nil
	}
	for _, at := range []time.Time{chain[0].NotBefore, chain[0].NotAfter.Add(-time.Second)} {
		if !at.Before(s.now) {
			continue
		}
		if _, _, err := x509svid.Verify(chain, s.bundles, x509svid.WithTime(at)); err == nil {
			by.standing = signerExpired
		}
	}
	return by, nil
}
