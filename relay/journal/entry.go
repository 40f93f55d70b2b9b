// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"crypto/sha256"
	"hash"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

// Kind says what an entry states. It stands in front of the entry's body in what is
// hashed, so that a statement of one kind cannot be taken for one of another.
type Kind string

// The kinds.
const (
	// Message is a hotline message: the body is its payload.
	Message Kind = "message/1"
	// Receipt says that a message of the peer is stored here.
	Receipt Kind = "receipt/1"
	// Act is what people or the relay did with a message: drafted, released, read,
	// escalated. It is not sent to the peer.
	Act Kind = "act/1"
	// Note is a statement about the log or the line itself.
	Note Kind = "note/1"
)

// LeafHash is the hash of an entry: RFC 6962 section 2.1 over KIND, a line feed and the body.
func LeafHash(kind Kind, body []byte) (leaf tlog.Hash) {
	h := hashers.Get().(*hasher) //nolint:errcheck,forcetypeassert // nothing else is put there
	defer hashers.Put(h)
	h.state.Reset()
	h.room = append(append(append(h.room[:0], leafPrefix), kind...), '\n')
	h.state.Write(h.room)
	h.state.Write(body) // not copied: it is most of a message
	h.room = h.state.Sum(h.room[:0])
	copy(leaf[:], h.room)
	return leaf
}

// leafPrefix stands before what is hashed of an entry.
const leafPrefix = 0x00

// hasher is what hashing an entry takes; hashers are kept, as each message is hashed four times.
type hasher struct {
	state hash.Hash
	room  []byte
}

var hashers = sync.Pool{New: func() any { return &hasher{state: sha256.New(), room: make([]byte, 0, 64)} }}
