// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/store"
)

// knownFor bounds how long a verified chain is taken as it was, so that what a bundle
// vouches for is looked at again even if nothing told us of a change.
const knownFor = time.Minute

// known is the last chain that was verified on a line. It spares verifying the same chain
// for each batch, as long as our trust is the very same and the chain valid.
type known struct {
	mu       sync.Mutex
	chain    [][]byte
	identity Identity
	at       time.Time
	opened   receipt.Chain
}

// open verifies a chain, or finds it verified.
func (k *known) open(identity Identity, chain [][]byte, now time.Time) (receipt.Chain, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.identity == identity && !now.Before(k.at) && now.Before(k.at.Add(knownFor)) &&
		!now.Before(k.opened.From) && !now.After(k.opened.Until) && sameChain(k.chain, chain) {
		return k.opened, nil
	}
	opened, err := receipt.OpenChain(identity, chain, now)
	if err != nil {
		return receipt.Chain{}, err
	}
	k.chain, k.identity, k.at, k.opened = chain, identity, now, opened
	return opened, nil
}

func sameChain(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// joined is a chain as stores keep it.
func joined(chain [][]byte) []byte { return bytes.Join(chain, nil) }

// split is the opposite of joined; nil if it is none.
func split(der []byte) [][]byte {
	list, err := x509.ParseCertificates(der)
	if err != nil {
		return nil
	}
	out := make([][]byte, len(list))
	for i, c := range list {
		out[i] = c.Raw
	}
	return out
}

// ourKey returns our signing chain in DER and the key.
func ourKey(identity Identity) (chain [][]byte, key crypto.Signer, err error) {
	list, key := identity.SigningChain()
	if len(list) == 0 || key == nil {
		return nil, nil, errors.New("signing the journal: there is no signing certificate")
	}
	for _, c := range list {
		chain = append(chain, c.Raw)
	}
	return chain, key, nil
}

// shown is a checkpoint of our journal as it leaves: by our present certificate. One that an
// earlier certificate signed is signed anew, as the peer may have to refuse that one by now.
func (l *line) shown(newest store.Checkpoint) (signed []byte, chain [][]byte, err error) {
	identity := l.engine.cfg.Identity()
	chain, key, err := ourKey(identity)
	if err != nil {
		return nil, nil, err
	}
	if len(newest.Signed) > 0 && bytes.Equal(newest.Chain, joined(chain)) {
		return newest.Signed, chain, nil
	}
	l.mu.Lock()
	again := l.resigned
	l.mu.Unlock()
	if again.Size == newest.Size && again.Root == newest.Root && len(again.Signed) > 0 && bytes.Equal(again.Chain, joined(chain)) {
		return again.Signed, chain, nil
	}
	signed, err = journal.Seal(journal.Checkpoint{Origin: l.origin(identity), Tree: treeOf(newest)}, key)
	if err != nil {
		return nil, nil, fmt.Errorf("signing the journal: %w", err)
	}
	l.mu.Lock()
	l.resigned = store.Checkpoint{Size: newest.Size, Root: newest.Root, Signed: signed, Chain: joined(chain)}
	l.mu.Unlock()
	return signed, chain, nil
}
