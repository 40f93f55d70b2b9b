// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"crypto/hpke"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// PublicKeyBytes is the length of a public key: 1184 bytes of ML-KEM-768 and 32 of X25519.
const PublicKeyBytes = 1216

// privateKeyBytes is the length of a private key: the seed of both parts.
const privateKeyBytes = 32

var errKey = errors.New("it is no key of MLKEM768-X25519")

// PublicKey is what others seal to.
type PublicKey struct {
	key hpke.PublicKey
	id  KeyID
}

// KeyID tells keys apart: the first eight bytes of the SHA-256 of the public key.
type KeyID [8]byte

// String is the id in hexadecimal.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// ParsePublicKey reads a public key as Bytes wrote it.
func ParsePublicKey(raw []byte) (PublicKey, error) {
	if len(raw) != PublicKeyBytes {
		return PublicKey{}, fmt.Errorf("reading public key of %d bytes: %w", len(raw), errKey)
	}
	key, err := hpke.MLKEM768X25519().NewPublicKey(raw)
	if err != nil {
		return PublicKey{}, fmt.Errorf("reading public key: %w", errKey)
	}
	return PublicKey{key: key, id: idOf(raw)}, nil
}

// Bytes is the public key in the form of RFC 9180.
func (k PublicKey) Bytes() []byte { return k.key.Bytes() }

// ID of the key.
func (k PublicKey) ID() KeyID { return k.id }

// PrivateKey opens what was sealed to its public key.
type PrivateKey struct {
	key    hpke.PrivateKey
	public PublicKey
}

// NewPrivateKey makes a key.
func NewPrivateKey() (PrivateKey, error) {
	key, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		return PrivateKey{}, fmt.Errorf("making key: %w", err)
	}
	return private(key), nil
}

// ParsePrivateKey reads a private key as Bytes wrote it. Errors hold nothing of it.
func ParsePrivateKey(raw []byte) (PrivateKey, error) {
	if len(raw) != privateKeyBytes {
		return PrivateKey{}, fmt.Errorf("reading private key of %d bytes: %w", len(raw), errKey)
	}
	key, err := hpke.MLKEM768X25519().NewPrivateKey(raw)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("reading private key: %w", errKey)
	}
	return private(key), nil
}

func private(key hpke.PrivateKey) PrivateKey {
	public := key.PublicKey()
	return PrivateKey{key: key, public: PublicKey{key: public, id: idOf(public.Bytes())}}
}

// Bytes is the private key in the form of RFC 9180. It is a secret.
func (k PrivateKey) Bytes() ([]byte, error) { return k.key.Bytes() }

// Public is the key that others seal to.
func (k PrivateKey) Public() PublicKey { return k.public }

func idOf(public []byte) KeyID {
	sum := sha256.Sum256(public)
	return KeyID(sum[:8])
}
