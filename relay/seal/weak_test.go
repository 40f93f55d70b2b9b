// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"testing"

	"github.com/certlink/certlink/relay/seal"
)

// TestWhatIsNoKeyOfAnybodySealsNothing takes what a peer may send in the place of a key: points of small order, with which everybody knows what is
// sealed, and encodings that are none.
func TestWhatIsNoKeyOfAnybodySealsNothing(t *testing.T) {
	good, err := seal.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	const lattice = seal.PublicKeyBytes - 32 // the part of ML-KEM, before that of X25519
	edit := func(change func(raw []byte)) []byte {
		raw := bytes.Clone(good.Public().Bytes())
		change(raw)
		return raw
	}
	point := func(first byte) []byte {
		return edit(func(raw []byte) { copy(raw[lattice:], append([]byte{first}, make([]byte, 31)...)) })
	}
	for name, raw := range map[string][]byte{
		"zeros":                 make([]byte, seal.PublicKeyBytes),
		"ones":                  bytes.Repeat([]byte{0xff}, seal.PublicKeyBytes),
		"a_point_of_order_two":  point(0),
		"a_point_of_order_four": point(1),
		"the_prime_as_a_point": edit(func(raw []byte) {
			copy(raw[lattice:], append([]byte{0xed}, append(bytes.Repeat([]byte{0xff}, 30), 0x7f)...))
		}),
		"a_lattice_of_large_ones": edit(func(raw []byte) { copy(raw, bytes.Repeat([]byte{0xff}, lattice-32)) }),
	} {
		key, err := seal.ParsePublicKey(raw)
		if err != nil {
			continue
		}
		if sealed, err := seal.Seal(key, envelope, []byte("secret")); err == nil {
			t.Errorf("%s: %d bytes were sealed", name, len(sealed))
		}
		var out bytes.Buffer
		if _, err := seal.NewWriter(key, envelope, &out); err == nil || out.Len() > 0 {
			t.Errorf("%s: a stream begins: %v, %d bytes", name, err, out.Len())
		}
	}
}
