// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"

	"github.com/certlink/certlink/relay/journal"
)

func TestACheckpointIsReadByOthersThatKnowTheForm(t *testing.T) {
	b := newBook(t)
	b.commit(3)
	key, err := note.NewEd25519VerifierKey(origin, b.public())
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		t.Fatal(err)
	}
	c, _, _, err := log.ParseCheckpoint(b.signed[0], origin, verifier)
	if err != nil {
		t.Fatal(err)
	}
	if c.Size != 3 || !bytes.Equal(c.Hash, b.tree.Hash[:]) {
		t.Errorf("read %d entries and root %x, want 3 and %x", c.Size, c.Hash, b.tree.Hash)
	}
}

func TestACheckpointIsRefused(t *testing.T) {
	b := newBook(t)
	b.commit(3)
	good := string(b.signed[0])
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, ed25519.SeedSize)).Public().(ed25519.PublicKey)
	for name, c := range map[string]struct {
		text   string
		origin string
		key    ed25519.PublicKey
		want   error
	}{
		"of another log":              {good, "alfa.example/certlink/hotline/charlie.example", b.public(), journal.ErrSignature},
		"by another key":              {good, origin, other, journal.ErrSignature},
		"without a key":               {good, origin, nil, journal.ErrSignature},
		"with another size":           {strings.Replace(good, "\n3\n", "\n4\n", 1), origin, b.public(), journal.ErrSignature},
		"with a size of another form": {strings.Replace(good, "\n3\n", "\n03\n", 1), origin, b.public(), journal.ErrMalformed},
		"with a size below zero":      {strings.Replace(good, "\n3\n", "\n-3\n", 1), origin, b.public(), journal.ErrMalformed},
		"with a size beyond all":      {strings.Replace(good, "\n3\n", "\n999999999999999999\n", 1), origin, b.public(), journal.ErrMalformed},
		"without a signature":         {good[:strings.Index(good, "\n\n")+2], origin, b.public(), journal.ErrMalformed},
		"with a root that is no hash": {strings.Replace(good, "=\n", "\n", 1), origin, b.public(), journal.ErrMalformed},
		"longer than one can be":      {good + strings.Repeat("x", journal.MaxCheckpointBytes), origin, b.public(), journal.ErrMalformed},
		"that is empty":               {"", origin, b.public(), journal.ErrMalformed},
		"with a cut signature":        {good[:len(good)-9] + "\n", origin, b.public(), journal.ErrSignature},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := journal.OpenCheckpoint([]byte(c.text), c.origin, c.key); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	if _, err := journal.OpenCheckpoint([]byte(good), origin, b.public()); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func TestACheckpointIsSealedOnlyWithAnEd25519KeyAndAnOriginThatCanBeRead(t *testing.T) {
	b := newBook(t)
	if _, err := journal.Seal(journal.Checkpoint{Origin: origin}, &rsa.PrivateKey{}); err == nil {
		t.Error("an RSA key was taken")
	}
	for _, name := range []string{"", "two words", "a+b", "line\nbreak", strings.Repeat("a", journal.MaxOriginBytes+1)} {
		if _, err := journal.Seal(journal.Checkpoint{Origin: name}, b.key); err == nil {
			t.Errorf("the origin %q was taken", name)
		}
	}
}

func FuzzParseProofReadsBackWhatItTook(f *testing.F) {
	b := newBook(f)
	b.commit(9)
	for i := range int64(9) {
		p, err := journal.Prove(b.tree, i, b.signed[0], b)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p.Text())
	}
	f.Add([]byte("c2sp.org/tlog-proof@v1\nextra AA==\nindex 1\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := journal.ParseProof(text)
		if err != nil {
			if !errors.Is(err, journal.ErrMalformed) {
				t.Errorf("%v is of no kind", err)
			}
			return
		}
		if !bytes.Equal(p.Text(), text) {
			t.Errorf("%q became %q", text, p.Text())
		}
		if c, err := p.Check(journal.Act, nil, origin, b.public()); err == nil {
			t.Errorf("an entry that nobody wrote is under %v", c)
		}
	})
}

func FuzzOpenCheckpointTakesNothingUnsigned(f *testing.F) {
	b := newBook(f)
	b.commit(2)
	b.commit(5)
	for _, signed := range b.signed {
		f.Add(signed)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := journal.OpenCheckpoint(text, origin, b.public())
		if err != nil {
			return
		}
		if !slices.Contains(b.kept, c) {
			t.Errorf("took %v, which nobody signed", c)
		}
	})
}
