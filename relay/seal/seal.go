// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"bytes"
	"crypto/hpke"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strings"
)

// Bounds of what is sealed.
const (
	// MaxBytes is the longest content.
	MaxBytes = 32 << 20
	// magic begins every sealed content; its number is the version of the form.
	magic = "certlink-sealed/1\n"
	// smallest is the shortest padded content.
	smallest = 256
	// encapsulated and tag are what HPKE adds.
	encapsulated, tag = 1120, 16
	header            = len(magic) + len(KeyID{})
)

var (
	// ErrMalformed: it is nothing that Seal made.
	ErrMalformed = errors.New("malformed")
	// ErrNotForUs: it is sealed to a key that we do not have.
	ErrNotForUs = errors.New("sealed to another key")
	// ErrRefused: it was changed, or sealed by or for others, or for another purpose.
	ErrRefused = errors.New("it does not open")
)

// Envelope is what sealed content is bound to. From and To are trust domains, Purpose a
// word of ours. None holds a line break.
type Envelope struct {
	Purpose, From, To string
}

func (e Envelope) info() ([]byte, error) {
	for _, part := range []string{e.Purpose, e.From, e.To} {
		if part == "" || strings.ContainsRune(part, '\n') {
			return nil, fmt.Errorf("sealing: %q is no purpose or trust domain", part)
		}
	}
	return []byte(magic + e.Purpose + "\n" + e.From + "\n" + e.To), nil
}

// Seal encrypts content for the holder of a key.
func Seal(to PublicKey, e Envelope, content []byte) ([]byte, error) {
	info, err := e.info()
	if err != nil {
		return nil, err
	}
	if len(content) > MaxBytes {
		return nil, fmt.Errorf("sealing: %d bytes are more than %d", len(content), MaxBytes)
	}
	if to.key == nil {
		return nil, fmt.Errorf("sealing: %w", errKey)
	}
	padded := make([]byte, padded(8+len(content)))
	binary.BigEndian.PutUint64(padded, uint64(len(content)))
	copy(padded[8:], content)
	sealed, err := hpke.Seal(to.key, hpke.HKDFSHA256(), hpke.AES256GCM(), info, padded)
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	id := to.ID()
	return append(append([]byte(magic), id[:]...), sealed...), nil
}

// Open decrypts what was sealed to one of our keys: the present one, and those before it.
// Errors wrap ErrMalformed, ErrNotForUs or ErrRefused and say nothing of the content.
func Open(keys []PrivateKey, e Envelope, sealed []byte) ([]byte, error) {
	info, err := e.info()
	if err != nil {
		return nil, err
	}
	id, ok := KeyOf(sealed)
	if !ok || len(sealed) > header+encapsulated+tag+padded(8+MaxBytes) || len(sealed) < header+encapsulated+tag+smallest {
		return nil, fmt.Errorf("opening: %w", ErrMalformed)
	}
	for _, k := range keys {
		if k.public.id != id {
			continue
		}
		content, err := hpke.Open(k.key, hpke.HKDFSHA256(), hpke.AES256GCM(), info, sealed[header:])
		if err != nil {
			return nil, fmt.Errorf("opening: %w", ErrRefused)
		}
		return unpad(content)
	}
	return nil, fmt.Errorf("opening: key %s: %w", id, ErrNotForUs)
}

// KeyOf tells to which key something is sealed.
func KeyOf(sealed []byte) (KeyID, bool) {
	rest, ok := bytes.CutPrefix(sealed, []byte(magic))
	if !ok || len(rest) < len(KeyID{}) {
		return KeyID{}, false
	}
	return KeyID(rest[:len(KeyID{})]), true
}

func unpad(content []byte) ([]byte, error) {
	if len(content) < 8 {
		return nil, fmt.Errorf("opening: %w", ErrMalformed)
	}
	size := binary.BigEndian.Uint64(content)
	if size > uint64(len(content)-8) {
		return nil, fmt.Errorf("opening: %w", ErrMalformed)
	}
	return content[8 : 8+size], nil
}

// padded rounds a size up so that only the upper bits of it, about the logarithm of its
// logarithm of them, tell anything: at most 12 % are added.
func padded(n int) int {
	if n <= smallest {
		return smallest
	}
	e := bits.Len(uint(n)) - 1
	low := e - bits.Len(uint(e))
	mask := 1<<low - 1
	return (n + mask) &^ mask
}
