// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package courier

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
)

// sums is the digest of what was written or read so far.
type sums struct{ h hash.Hash }

func newSums() *sums { return &sums{h: sha256.New()} }

func (s *sums) add(p []byte) { _, _ = s.h.Write(p) } // a hash takes everything

func (s *sums) hex() string { return hex.EncodeToString(s.h.Sum(nil)) }

func digest(p []byte) string {
	sum := sha256.Sum256(p)
	return hex.EncodeToString(sum[:])
}
