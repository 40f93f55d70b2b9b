// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/certlink/certlink/relay/seal"
)

var envelope = seal.Envelope{Purpose: "transit", From: "alfa.example", To: "charlie.example"}

func newKey(t testing.TB) seal.PrivateKey {
	t.Helper()
	k, err := seal.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestWhatIsSealedOpensForItsReceiverOnly(t *testing.T) {
	ours, other := newKey(t), newKey(t)
	for _, size := range []int{0, 1, 247, 248, 249, 1024, 100_000} {
		content := bytes.Repeat([]byte("x"), size)
		sealed, err := seal.Seal(ours.Public(), envelope, content)
		if err != nil {
			t.Fatal(err)
		}
		if size > 0 && bytes.Contains(sealed, content[:min(size, 16)]) && size >= 16 {
			t.Errorf("%d bytes: the content can be read", size)
		}
		got, err := seal.Open([]seal.PrivateKey{other, ours}, envelope, sealed)
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes: %v", size, err)
		}
		if _, err := seal.Open([]seal.PrivateKey{other}, envelope, sealed); !errors.Is(err, seal.ErrNotForUs) {
			t.Errorf("%d bytes: another opened it: %v", size, err)
		}
	}
}

func TestWhatWasChangedDoesNotOpen(t *testing.T) {
	k := newKey(t)
	sealed, err := seal.Seal(k.Public(), envelope, []byte("the text"))
	if err != nil {
		t.Fatal(err)
	}
	keys := []seal.PrivateKey{k}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := seal.Open(keys, envelope, changed); err == nil {
			t.Fatalf("with byte %d changed it opens", i)
		}
	}
	for name, e := range map[string]seal.Envelope{
		"another purpose":  {Purpose: "courier", From: envelope.From, To: envelope.To},
		"another sender":   {Purpose: envelope.Purpose, From: "bravo.example", To: envelope.To},
		"another receiver": {Purpose: envelope.Purpose, From: envelope.From, To: "bravo.example"},
	} {
		if _, err := seal.Open(keys, e, sealed); !errors.Is(err, seal.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := seal.Open(keys, envelope, sealed[:len(sealed)-1]); err == nil {
		t.Error("a cut one opens")
	}
}

func TestTheSizeOfContentShowsInFewBits(t *testing.T) {
	k := newKey(t)
	sizes := map[int]bool{}
	for n := range 200 {
		content := make([]byte, 1000+n)
		sealed, err := seal.Seal(k.Public(), envelope, content)
		if err != nil {
			t.Fatal(err)
		}
		sizes[len(sealed)] = true
		if len(sealed) > len(content)*112/100+1400 {
			t.Errorf("%d bytes became %d", len(content), len(sealed))
		}
	}
	if len(sizes) > 5 {
		t.Errorf("200 sizes show as %d", len(sizes))
	}
}

func TestKeysAreReadBackAndAnythingElseIsNoKey(t *testing.T) {
	k := newKey(t)
	raw, err := k.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	again, err := seal.ParsePrivateKey(raw)
	if err != nil || again.Public().ID() != k.Public().ID() {
		t.Errorf("private key: %v", err)
	}
	public, err := seal.ParsePublicKey(k.Public().Bytes())
	if err != nil || public.ID() != k.Public().ID() {
		t.Errorf("public key: %v", err)
	}
	for _, bad := range [][]byte{nil, raw, k.Public().Bytes()[1:], bytes.Repeat([]byte{0xff}, seal.PublicKeyBytes)} {
		if _, err := seal.ParsePublicKey(bad); err == nil {
			t.Errorf("%d bytes were taken for a public key", len(bad))
		}
	}
	if _, err := seal.ParsePrivateKey(raw[1:]); err == nil {
		t.Error("a short private key was taken")
	}
	if _, err := seal.Seal(seal.PublicKey{}, envelope, nil); err == nil {
		t.Error("sealed to no key")
	}
	if _, err := seal.Seal(k.Public(), seal.Envelope{Purpose: "a\nb", From: "x", To: "y"}, nil); err == nil {
		t.Error("sealed with a purpose of two lines")
	}
}

func FuzzOpenRefusesWhatWasNotSealed(f *testing.F) {
	k := newKey(f)
	sealed, err := seal.Seal(k.Public(), envelope, []byte("seed"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed[:len(sealed)-1])
	f.Add([]byte("certlink-sealed/1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.Equal(data, sealed) {
			return
		}
		if _, err := seal.Open([]seal.PrivateKey{k}, envelope, data); err == nil {
			t.Error("it opened")
		}
	})
}
