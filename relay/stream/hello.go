// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"encoding/json"
	"fmt"
	"unicode"
)

// Bounds of the fields of a Hello, in bytes.
const (
	maxAddress  = 300
	maxInstance = 100
)

// Hello is what the side that dialled says first.
type Hello struct {
	// Address that it dialled, HOST:PORT, so that both sides name the path alike.
	// At most 300 bytes.
	Address string `json:"address"`
	// Instance is an id of the relay process. At most 100 bytes.
	Instance string `json:"instance,omitempty"`
	// Renews: it understands RENEW.
	Renews bool `json:"renews,omitempty"`
}

func (h Hello) check() error {
	switch {
	case len(h.Address) > maxAddress || len(h.Instance) > maxInstance:
		return violation("a field of HELLO is too long")
	case !printable(h.Address) || !printable(h.Instance):
		return violation("a field of HELLO has characters that cannot be printed")
	}
	return nil
}

func printable(s string) bool {
	for _, r := range s {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// frame encodes the whole HELLO frame.
func (h Hello) frame() ([]byte, error) {
	if err := h.check(); err != nil {
		return nil, fmt.Errorf("our own HELLO cannot be sent: %w", err)
	}
	b, err := json.Marshal(h)
	if err != nil || len(b) > maxHello {
		return nil, fmt.Errorf("encoding a HELLO of %d bytes: %w", len(b), err)
	}
	out := make([]byte, headerSize, headerSize+len(b))
	putHeader(out, kindHello, len(b))
	return append(out, b...), nil
}

// parseHello reads the payload of a HELLO. Fields that we do not know are of a
// newer relay and are ignored.
func parseHello(b []byte) (Hello, error) {
	var h Hello
	if err := json.Unmarshal(b, &h); err != nil {
		return Hello{}, violation("HELLO is not JSON: %v", err)
	}
	return h, h.check()
}
