// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/journal"
)

// Evidence is what all that the peer said in one batch has in common.
type Evidence struct {
	// Checkpoint of its journal as it was signed, Chain the signer's certificates in DER, one
	// after the other.
	Checkpoint, Chain []byte
	// Hashes of the tree, 32 bytes each, that the proofs of single entries name.
	Hashes []byte
}

// Proof that the peer said something, as engines store it: what a batch has in common is stored once.
// The zero value is none.
type Proof struct {
	// Of is the same pointer in all proofs of a batch.
	Of *Evidence
	// Index of the entry in the peer's journal, from 0; Path of its inclusion proof, as
	// positions in the hashes, the first is 0.
	Index int64
	Path  []uint16
}

// ProofOf is a proof that shares nothing.
func ProofOf(p journal.Proof, chain []byte) Proof {
	out := Proof{Of: &Evidence{Checkpoint: p.Checkpoint, Chain: chain}, Index: p.Index, Path: make([]uint16, len(p.Path))}
	for i, h := range p.Path {
		out.Of.Hashes = append(out.Of.Hashes, h[:]...)
		out.Path[i] = uint16(i) //nolint:gosec // journal.ParseProof bounds it
	}
	return out
}

// Pack writes what is stored with the message: the index, and the path in two bytes each.
func (p *Proof) Pack() []byte {
	if p.Of == nil {
		return nil
	}
	out := make([]byte, 0, binary.MaxVarintLen64+2*len(p.Path))
	out = binary.AppendUvarint(out, uint64(max(0, p.Index)))
	for _, position := range p.Path {
		out = binary.BigEndian.AppendUint16(out, position)
	}
	return out
}

var errPacked = errors.New("the proof is damaged")

// UnpackProof reads what Pack wrote, with what it has in common with others, and returns the
// proof as C2SP tlog-proof has it.
func UnpackProof(packed []byte, of Evidence) (text []byte, err error) {
	index, n := binary.Uvarint(packed)
	if n <= 0 || index >= journal.MaxSize || (len(packed)-n)%2 != 0 {
		return nil, errPacked
	}
	p := journal.Proof{Index: int64(index), Checkpoint: of.Checkpoint}
	for packed = packed[n:]; len(packed) > 0; packed = packed[2:] {
		at := int(binary.BigEndian.Uint16(packed)) * tlog.HashSize
		if at+tlog.HashSize > len(of.Hashes) {
			return nil, fmt.Errorf("%w: it names a hash that is not there", errPacked)
		}
		p.Path = append(p.Path, tlog.Hash(of.Hashes[at:at+tlog.HashSize]))
	}
	return p.Text(), nil
}
