// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strconv"

	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/tlog"
)

// Bounds of a proof.
const (
	// hashLine is what a hash takes in the text of a proof, maxDigits the longest index.
	hashLine  = 45
	maxDigits = 19

	// maxHashes is the longest path in a tree of MaxSize entries.
	maxHashes = 40
	// MaxProofBytes is the longest proof with its checkpoint.
	MaxProofBytes = MaxCheckpointBytes + 4<<10
)

// Proof is a transparency log proof (C2SP tlog-proof): it leads from one entry to a
// signed checkpoint, and needs nothing else but the signer's key.
type Proof struct {
	// Index of the entry, from 0.
	Index int64
	// Path is the inclusion proof of RFC 6962 section 2.1.1.
	Path tlog.RecordProof
	// Checkpoint as it was signed.
	Checkpoint []byte
}

// Text writes the proof in the form of C2SP tlog-proof.
func (p Proof) Text() []byte {
	const head = "c2sp.org/tlog-proof@v1\nindex "
	out := make([]byte, 0, len(head)+maxDigits+len(p.Path)*hashLine+2+len(p.Checkpoint))
	out = strconv.AppendInt(append(out, head...), max(0, p.Index), 10)
	for _, h := range p.Path {
		out = base64.StdEncoding.AppendEncode(append(out, '\n'), h[:])
	}
	return append(append(out, "\n\n"...), p.Checkpoint...)
}

// ParseProof reads a proof. Errors wrap ErrMalformed. Nothing is verified.
func ParseProof(text []byte) (Proof, error) {
	if len(text) > MaxProofBytes {
		return Proof{}, fmt.Errorf("reading proof: %d bytes are more than %d: %w", len(text), MaxProofBytes, ErrMalformed)
	}
	var in proof.TLogProof
	if err := in.Unmarshal(text); err != nil {
		return Proof{}, fmt.Errorf("reading proof: %w", ErrMalformed)
	}
	if in.Index >= MaxSize || len(in.Hashes) > maxHashes {
		return Proof{}, fmt.Errorf("reading proof: index or path is out of bounds: %w", ErrMalformed)
	}
	p := Proof{Index: int64(in.Index), Checkpoint: in.Checkpoint}
	for _, h := range in.Hashes {
		p.Path = append(p.Path, h)
	}
	// One form only, without extra data: what is stored and shown is what was sent.
	if !bytes.Equal(p.Text(), text) {
		return Proof{}, fmt.Errorf("reading proof: it is not in its canonical form: %w", ErrMalformed)
	}
	return p, nil
}

// Check verifies that the entry is in the log of an origin, under a checkpoint signed
// by the key, and returns that checkpoint. Errors wrap ErrMalformed, ErrSignature or
// ErrNotIncluded.
func (p Proof) Check(kind Kind, body []byte, origin string, key ed25519.PublicKey) (Checkpoint, error) {
	c, err := OpenCheckpoint(p.Checkpoint, origin, key)
	if err != nil {
		return Checkpoint{}, err
	}
	return c, p.CheckUnder(c, kind, body)
}

// CheckUnder verifies that the entry is in the log of a checkpoint that was opened
// before. Errors wrap ErrNotIncluded.
func (p Proof) CheckUnder(c Checkpoint, kind Kind, body []byte) error {
	if p.Index < 0 || p.Index >= c.Tree.N || len(p.Path) > maxHashes {
		return fmt.Errorf("checking entry %d: the log has %d: %w", p.Index, c.Tree.N, ErrNotIncluded)
	}
	if err := tlog.CheckRecord(p.Path, c.Tree.N, c.Tree.Hash, p.Index, LeafHash(kind, body)); err != nil {
		return fmt.Errorf("checking entry %d: %w", p.Index, ErrNotIncluded)
	}
	return nil
}

// CheckConsistent verifies that the newer of two checkpoints continues the older one.
// Errors wrap ErrForked.
func CheckConsistent(older, newer Checkpoint, path tlog.TreeProof) error {
	switch {
	case older.Origin != newer.Origin || older.Tree.N > newer.Tree.N || len(path) > 2*maxHashes:
		return fmt.Errorf("comparing checkpoints of %q at %d and %d: %w", older.Origin, older.Tree.N, newer.Tree.N, ErrForked)
	case older.Tree.N == newer.Tree.N:
		if older.Tree.Hash != newer.Tree.Hash {
			return fmt.Errorf("comparing checkpoints of %q at %d: %w", older.Origin, older.Tree.N, ErrForked)
		}
		return nil
	case older.Tree.N == 0:
		return nil // every log continues the empty one
	}
	if err := tlog.CheckTree(path, newer.Tree.N, newer.Tree.Hash, older.Tree.N, older.Tree.Hash); err != nil {
		return fmt.Errorf("comparing checkpoints of %q at %d and %d: %w", older.Origin, older.Tree.N, newer.Tree.N, ErrForked)
	}
	return nil
}
