// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package seal_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/certlink/certlink/relay/seal"
)

func sealStream(t testing.TB, to seal.PublicKey, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := seal.NewWriter(to, envelope, &out)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(w, iotest.OneByteReader(bytes.NewReader(content[:min(len(content), 300)]))); err != nil || n != int64(min(len(content), 300)) {
		t.Fatal(n, err)
	}
	if _, err := w.Write(content[min(len(content), 300):]); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("a closed stream takes more")
	}
	return out.Bytes()
}

func openStream(keys []seal.PrivateKey, sealed []byte) ([]byte, error) {
	r, err := seal.NewReader(keys, envelope, bytes.NewReader(sealed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestAStreamOpensForItsReceiverWithZerosBehindIt(t *testing.T) {
	k, other := newKey(t), newKey(t)
	for _, size := range []int{0, 1, 255, 256, 65535, 65536, 65537, 131072, 300_001} {
		content := bytes.Repeat([]byte("text "), size/5+1)[:size]
		sealed := sealStream(t, k.Public(), content)
		got, err := openStream([]seal.PrivateKey{other, k}, sealed)
		if err != nil || !bytes.HasPrefix(got, content) || len(bytes.Trim(got[size:], "\x00")) != 0 {
			t.Errorf("%d bytes: read %d, %v", size, len(got), err)
		}
		if len(got) > size*112/100+256 {
			t.Errorf("%d bytes were padded to %d", size, len(got))
		}
		if _, err := openStream([]seal.PrivateKey{other}, sealed); !errors.Is(err, seal.ErrNotForUs) {
			t.Errorf("another opened it: %v", err)
		}
	}
}

func TestAStreamThatWasChangedOrCutNeverReadsToItsEnd(t *testing.T) {
	k := newKey(t)
	keys := []seal.PrivateKey{k}
	sealed := sealStream(t, k.Public(), bytes.Repeat([]byte("x"), 200_000))
	const head = 18 + 8 + 1120
	for i := 0; i < len(sealed); i += 997 {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := openStream(keys, changed); err == nil {
			t.Fatalf("with byte %d changed it opens", i)
		}
		if _, err := openStream(keys, sealed[:i]); err == nil {
			t.Fatalf("cut at %d it opens", i)
		}
	}
	for name, changed := range map[string][]byte{
		"cut after a chunk":  sealed[:head+65536+16],
		"something behind":   append(bytes.Clone(sealed), 'x'),
		"a chunk left out":   append(bytes.Clone(sealed[:head]), sealed[head+65536+16:]...),
		"two chunks swapped": swapped(sealed, head, 65536+16),
		"a chunk twice":      append(bytes.Clone(sealed[:head+65536+16]), sealed[head:]...),
	} {
		if _, err := openStream(keys, changed); !errors.Is(err, seal.ErrRefused) && !errors.Is(err, seal.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r, err := seal.NewReader(keys, seal.Envelope{Purpose: "other", From: envelope.From, To: envelope.To}, bytes.NewReader(sealed))
	if err == nil {
		_, err = io.ReadAll(r)
	}
	if !errors.Is(err, seal.ErrRefused) {
		t.Errorf("for another purpose: %v", err)
	}
	// What is sealed in one piece is no stream, and the other way round.
	whole, err := seal.Seal(k.Public(), envelope, []byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openStream(keys, whole); !errors.Is(err, seal.ErrMalformed) {
		t.Errorf("one piece opens as a stream: %v", err)
	}
	if _, err := seal.Open(keys, envelope, sealed); !errors.Is(err, seal.ErrMalformed) {
		t.Errorf("a stream opens as one piece: %v", err)
	}
}

func swapped(sealed []byte, from, size int) []byte {
	out := bytes.Clone(sealed)
	copy(out[from:], sealed[from+size:from+2*size])
	copy(out[from+size:], sealed[from:from+size])
	return out
}

func TestErrorsOfTheReaderAndWriterArePassedOn(t *testing.T) {
	k := newKey(t)
	sealed := sealStream(t, k.Public(), make([]byte, 200_000))
	r, err := seal.NewReader([]seal.PrivateKey{k}, envelope, io.MultiReader(bytes.NewReader(sealed[:100_000]), iotest.ErrReader(io.ErrNoProgress)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("error is %v", err)
	}
	if _, err := seal.NewWriter(k.Public(), envelope, failing{}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("error is %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func FuzzStreamRefusesWhatWasNotSealed(f *testing.F) {
	k := newKey(f)
	sealed := sealStream(f, k.Public(), []byte("seed"))
	f.Add(sealed[:len(sealed)-1])
	f.Add(sealed[1:])
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.Equal(data, sealed) {
			return
		}
		if _, err := openStream([]seal.PrivateKey{k}, data); err == nil {
			t.Error("it opened")
		}
	})
}
