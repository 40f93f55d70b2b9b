// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Bounds of a checkpoint.
const (
	// MaxCheckpointBytes is the longest signed checkpoint.
	MaxCheckpointBytes = 4 << 10
	// MaxSize is the largest number of entries in a log, a million million: a store has room for no more in a key.
	MaxSize = 1<<40 - 1
	// MaxOriginBytes is the longest origin.
	MaxOriginBytes = 768
)

// algorithmEd25519 is the signature type of a note that is signed with Ed25519.
const algorithmEd25519 = 1

// Checkpoint is the state of a log: so many entries, with this root.
type Checkpoint struct {
	// Origin names the log; it has no line break, space or plus sign.
	Origin string
	// Tree is the number of entries and the root hash over them.
	Tree tlog.Tree
}

// Origin is the name of our journal of the hotline with a peer. Both are trust domains.
func Origin(ours, peer string) string { return ours + "/certlink/hotline/" + peer }

// text is the body of the checkpoint as C2SP tlog-checkpoint has it.
func (c Checkpoint) text() string {
	return c.Origin + "\n" + strconv.FormatInt(c.Tree.N, 10) + "\n" + c.Tree.Hash.String() + "\n"
}

// Seal signs a checkpoint with an Ed25519 key: a signed note whose key name is the origin.
func Seal(c Checkpoint, key crypto.Signer) ([]byte, error) {
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("sealing checkpoint: the key is %T, not Ed25519", key.Public())
	}
	if !validOrigin(c.Origin) || c.Tree.N < 0 || c.Tree.N > MaxSize {
		return nil, fmt.Errorf("sealing checkpoint of %q: its origin or size is out of bounds", c.Origin)
	}
	signed, err := note.Sign(&note.Note{Text: c.text()}, noteKey{name: c.Origin, public: public, signer: key})
	if err != nil {
		return nil, fmt.Errorf("sealing checkpoint of %q: %w", c.Origin, err)
	}
	return signed, nil
}

// OpenCheckpoint verifies a signed checkpoint of an origin. Signatures of others, such
// as witnesses, are passed over. Errors wrap ErrMalformed or ErrSignature.
func OpenCheckpoint(signed []byte, origin string, key ed25519.PublicKey) (Checkpoint, error) {
	if len(signed) > MaxCheckpointBytes {
		return Checkpoint{}, fmt.Errorf("opening checkpoint: %d bytes are more than %d: %w", len(signed), MaxCheckpointBytes, ErrMalformed)
	}
	c, err := parse(signed)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != origin {
		return Checkpoint{}, fmt.Errorf("opening checkpoint: it is of another log than %q: %w", origin, ErrSignature)
	}
	if len(key) != ed25519.PublicKeySize {
		return Checkpoint{}, fmt.Errorf("opening checkpoint: the key has %d bytes: %w", len(key), ErrSignature)
	}
	if _, err := note.Open(signed, note.VerifierList(noteKey{name: origin, public: key})); err != nil {
		if _, unsigned := errors.AsType[*note.UnverifiedNoteError](err); unsigned {
			return Checkpoint{}, fmt.Errorf("opening checkpoint: %w", ErrSignature)
		}
		if _, wrong := errors.AsType[*note.InvalidSignatureError](err); wrong {
			return Checkpoint{}, fmt.Errorf("opening checkpoint: %w", ErrSignature)
		}
		return Checkpoint{}, fmt.Errorf("opening checkpoint: %w", ErrMalformed)
	}
	return c, nil
}

// parse reads the three lines of a checkpoint; extension lines are allowed and passed over.
func parse(signed []byte) (Checkpoint, error) {
	text, _, ok := bytes.Cut(signed, []byte("\n\n"))
	lines := strings.SplitN(string(text), "\n", 4)
	if !ok || len(lines) < 3 {
		return Checkpoint{}, fmt.Errorf("opening checkpoint: it has no three lines: %w", ErrMalformed)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || size > MaxSize || strconv.FormatInt(size, 10) != lines[1] {
		return Checkpoint{}, fmt.Errorf("opening checkpoint: its size is no number within bounds: %w", ErrMalformed)
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return Checkpoint{}, fmt.Errorf("opening checkpoint: its root is no hash: %w", ErrMalformed)
	}
	if !validOrigin(lines[0]) {
		return Checkpoint{}, fmt.Errorf("opening checkpoint: its origin is no name of a log: %w", ErrMalformed)
	}
	return Checkpoint{Origin: lines[0], Tree: tlog.Tree{N: size, Hash: tlog.Hash(root)}}, nil
}

func validOrigin(name string) bool {
	return name != "" && len(name) <= MaxOriginBytes && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == '+' || r > '~' })
}

// VerifierKey is the key of a log's checkpoints in the form of the signed note format, for
// tools that read it.
func VerifierKey(origin string, key ed25519.PublicKey) (string, error) {
	return note.NewEd25519VerifierKey(origin, key)
}

// noteKey is a key of a signed note: for signing when signer is set, else for verifying.
type noteKey struct {
	name   string
	public ed25519.PublicKey
	signer crypto.Signer
}

func (k noteKey) Name() string { return k.name }

// KeyHash is that of the signed note format for Ed25519.
func (k noteKey) KeyHash() uint32 {
	h := sha256.New()
	h.Write([]byte(k.name))
	h.Write([]byte{'\n', algorithmEd25519})
	h.Write(k.public)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

func (k noteKey) Sign(msg []byte) ([]byte, error) {
	return k.signer.Sign(rand.Reader, msg, crypto.Hash(0))
}

func (k noteKey) Verify(msg, sig []byte) bool { return ed25519.Verify(k.public, msg, sig) }
