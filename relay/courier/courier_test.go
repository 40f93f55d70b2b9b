// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package courier

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

const (
	alfa, bravo = "alfa.example", "bravo.example"
	secret      = "the text that nobody on the way may read"
)

func TestASetTakesMessagesThereAndReceiptsBack(t *testing.T) {
	a, b := newPair(t)
	a.queue(secret, "{}")
	a.queue("another", "{}")
	content := make([]byte, 3<<20)
	for i := range content {
		content[i] = byte(rand.IntN(256))
	}
	sum := a.attach(t, content)
	s, files := a.export(t, 1<<20)
	if s.Messages != 3 || s.Attachments != 1 || len(files) < 4 {
		t.Errorf("exported %+v in %d files", s, len(files))
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(name)
		if err != nil || info.Size() > 1<<20 || info.Mode().Perm() != 0o600 || bytes.Contains(raw, []byte(secret)) || bytes.Contains(raw, content[:64]) {
			t.Errorf("%s: %d bytes, %v, or its content can be read", name, info.Size(), info.Mode())
		}
	}
	// Any order, and some twice.
	rand.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
	files = append(files, files[0])
	for range 2 { // taken in twice
		in, err := b.imports(t, files...)
		if err != nil || in.Messages != 3 || in.Attachments != 1 || len(in.Refused) > 0 {
			t.Errorf("imported %+v, %v", in, err)
		}
	}
	got, err := b.stored.GetAttachment(t.Context(), store.AttachmentKey{Direction: store.In, Peer: alfa, SHA256: sum})
	if err != nil || !got.Complete || b.got[secret] != 2 {
		t.Errorf("attachment %+v, %v; batches %v", got, err, slices.Collect(maps.Keys(b.got)))
	}
	back, files := b.export(t, 1<<30)
	if back.Answers != 3 || len(files) != 1 {
		t.Errorf("back: %+v in %d files", back, len(files))
	}
	if in, err := a.imports(t, files...); err != nil || in.Answers != 3 || len(a.settled) != 3 {
		t.Errorf("imported back %+v, %v, settled %v", in, err, a.settled)
	}
	if again, _ := a.export(t, 1<<30); again.Messages != 0 {
		t.Errorf("what is settled is exported again: %+v", again)
	}
	if !slices.Equal(b.acts, []string{"COURIER_IMPORTED 3", "COURIER_IMPORTED 3", "COURIER_EXPORTED 0"}) {
		t.Errorf("acts are %q", b.acts)
	}
}

func TestAPeerForgetsAnswersThatWeHave(t *testing.T) {
	a, b := newPair(t)
	a.queue("one", "{}")
	carry := func(from, to *nation) Summary {
		_, files := from.export(t, 1<<20)
		s, err := to.imports(t, files...)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	carry(a, b)
	if s := carry(b, a); s.Answers != 1 {
		t.Errorf("answers: %+v", s)
	}
	carry(a, b) // tells that they came
	if s := carry(b, a); s.Answers != 0 {
		t.Errorf("an answer is sent for ever: %+v", s)
	}
}

func TestADamagedOrIncompleteSetChangesNothingAndIsNamed(t *testing.T) {
	a, b := newPair(t)
	a.queue(secret, "{}")
	a.attach(t, bytes.Repeat([]byte("content "), 20_000))
	_, files := a.export(t, 64<<10)
	other, _ := newPair(t)
	other.queue("x", "{}")
	_, foreign := other.export(t, 64<<10)
	if len(files) < 3 {
		t.Fatal(len(files), "files")
	}
	edit := func(change func(raw []byte) []byte) []string {
		raw, err := os.ReadFile(files[1])
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(t.TempDir(), "changed.certlink")
		if err := os.WriteFile(name, change(raw), 0o600); err != nil {
			t.Fatal(err)
		}
		return append([]string{name, files[0]}, files[2:]...)
	}
	// sum makes the header fit again, as somebody would who knows the form.
	resum := func(raw []byte, mod func(p *Part)) []byte {
		p, err := ParsePart(raw[:HeaderBytes])
		if err != nil {
			t.Fatal(err)
		}
		p.Bytes, p.SHA256 = int64(len(raw)-HeaderBytes), digest(raw[HeaderBytes:])
		if mod != nil {
			mod(&p)
		}
		head, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return append(head, raw[HeaderBytes:]...)
	}
	for name, tt := range map[string]struct {
		files []string
		want  string
	}{
		"a part is missing":            {files[:1], "parts 2–3 of "},
		"a bit of content changed":     {edit(func(raw []byte) []byte { raw[len(raw)-1] ^= 1; return raw }), "changed.certlink: its content was changed"},
		"a bit of a header changed":    {edit(func(raw []byte) []byte { raw[40] ^= 1; return raw }), "its header was changed"},
		"a part is cut":                {edit(func(raw []byte) []byte { return raw[:len(raw)-1] }), "bytes behind its header"},
		"a part is cut in its header":  {edit(func(raw []byte) []byte { return raw[:100] }), "no file of a courier, or cut"},
		"changed, and the sum with it": {edit(func(raw []byte) []byte { raw[len(raw)-1] ^= 1; return resum(raw, nil) }), "was changed"},
		"cut, and the sum with it":     {edit(func(raw []byte) []byte { return resum(raw[:len(raw)-9], nil) }), "was changed"},
		"two parts swapped":            {edit(func(raw []byte) []byte { return resum(raw, func(p *Part) { p.Number = 3 }) }), "does not go with the other files"},
		"a part of another":            {edit(func(raw []byte) []byte { return resum(raw, func(p *Part) { p.To = "delta.example" }) }), "does not go with the other files"},
		"of another nation":            {foreign, "it is not for us"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			_, err := b.imports(t, tt.files...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
			if len(b.got) > 0 || len(b.acts) > 0 {
				t.Errorf("it changed something: %v %v", b.got, b.acts)
			}
		})
	}
	if s, err := b.imports(t, files...); err != nil || s.Messages != 2 {
		t.Errorf("the whole one: %+v, %v", s, err)
	}
}

func TestASetThatItsSenderDidNotSignIsRefused(t *testing.T) {
	a, b := newPair(t)
	mallory, _ := newPair(t)
	mallory.td, mallory.peer = alfa, b // has b's public key, says that it is alfa
	mallory.queue("forged", "{}")
	_, files := mallory.export(t, 1<<20)
	if _, err := b.imports(t, files...); err == nil || len(b.got) > 0 {
		t.Errorf("error is %v", err)
	}
	_, files = a.export(t, 1<<20)
	if _, err := a.imports(t, files...); err == nil {
		t.Error("the sender takes its own set")
	}
}

func TestWhatIsRefusedIsNamedAndTheRestIsTaken(t *testing.T) {
	a, b := newPair(t)
	a.queue("one", "{}")
	_, files := a.export(t, 1<<20)
	b.refuses = "the checkpoint is refused"
	s, err := b.imports(t, files...)
	if err != nil || len(s.Refused) != 1 || !strings.Contains(s.Refused[0], b.refuses) {
		t.Errorf("%+v, %v", s, err)
	}
	b.refuses, b.missing = "", []string{"message 1: its attachments are missing"}
	s, err = b.imports(t, files...)
	if err != nil || !slices.Equal(s.Refused, b.missing) {
		t.Errorf("an answer that refuses a message counts as taken: %+v, %v", s, err)
	}
}

// The line brought the beginning before it was cut, in chunks that end elsewhere.
func TestAFileGoesOnWhereTheLineWasCut(t *testing.T) {
	content := make([]byte, 3<<20+77)
	for i := range content {
		content[i] = byte(rand.IntN(256))
	}
	for _, before := range [][]int{{256 << 10}, {256 << 10, 512 << 10, 64 << 10}, {1<<20 - 10}, {1 << 20, 1<<20 + -1000, 1 << 20}, {1 << 20, 1 << 20, 1 << 20}} {
		a, b := newPair(t)
		sum := a.attach(t, content)
		k, at := store.AttachmentKey{Direction: store.In, Peer: alfa, SHA256: sum}, 0
		for _, n := range before {
			if _, err := b.stored.AppendAttachment(t.Context(), k, int64(len(content)), int64(at), content[at:at+n], looseLimits); err != nil {
				t.Fatal(err)
			}
			at += n
		}
		_, files := a.export(t, 1<<30)
		s, err := b.imports(t, files...)
		if err != nil || len(s.Refused) > 0 {
			t.Errorf("after %d: %+v, %v", before, s, err)
		}
		if got, err := b.stored.GetAttachment(t.Context(), k); err != nil || !got.Complete {
			t.Errorf("after %d: %+v, %v", before, got, err)
		}
	}
}

func TestAFileThatWeLostKeepsNothingElseBack(t *testing.T) {
	a, b := newPair(t)
	a.queue("names what is gone", fmt.Sprintf(`{"attachments":[{"name":"x.bin","size":5,"sha256":"%064x"}]}`, 7))
	a.queue("another", "{}")
	s, files := a.export(t, 1<<20)
	if s.Messages != 2 || s.Attachments != 0 || len(s.Refused) != 1 || !strings.Contains(s.Refused[0], "not in our own store") {
		t.Errorf("exported %+v", s)
	}
	if in, err := b.imports(t, files...); err != nil || in.Messages != 2 {
		t.Errorf("imported %+v, %v", in, err)
	}
	if _, err := a.imports(t, files...); !errors.Is(err, ErrOwn) {
		t.Errorf("our own set: %v", err)
	}
}

func TestFilesReplaceNothingAndLeaveNothingBehind(t *testing.T) {
	dir := t.TempDir()
	split := func() (*Splitter, error) {
		s, err := NewSplitter(dir, "x", strings.Repeat("a", 32), alfa, bravo, MinPart)
		if err == nil {
			_, err = s.Write(make([]byte, 3*MinPart))
		}
		return s, err
	}
	s, err := split()
	if err != nil {
		t.Fatal(err)
	}
	if files, err := s.Commit(); err != nil || len(files) != 4 {
		t.Fatal(files, err)
	}
	if s, err = split(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(); err == nil {
		t.Error("files were replaced")
	}
	s.Discard()
	if left, err := os.ReadDir(dir); err != nil || len(left) != 4 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
	if _, err := NewSplitter(dir, "../x", "", alfa, bravo, MinPart); err == nil {
		t.Error("a name leads elsewhere")
	}
	if _, err := NewSplitter(dir, "x", "", alfa, bravo, MinPart-1); err == nil {
		t.Error("files may be too small")
	}
}

func TestMissingPartsAreNamedInRuns(t *testing.T) {
	for want, missing := range map[string][]int{"": nil, "parts 1 of 9": {1}, "parts 2–4, 6, 8–9 of 9": {2, 3, 4, 6, 8, 9}} {
		if got := (&Set{Parts: 9, Missing: missing}).Lacks(); got != want {
			t.Errorf("%v: %q", missing, got)
		}
	}
}

func TestSetsOfOldCertificatesAreTakenAndOfTheFutureAreNot(t *testing.T) {
	a, b := newPair(t)
	a.queue("one", "{}")
	_, files := a.export(t, 1<<20)
	for name, tt := range map[string]struct {
		at   time.Duration
		good bool
	}{"after a year": {365 * 24 * time.Hour, true}, "after two": {730 * 24 * time.Hour, false}, "before it was made": {-48 * time.Hour, false}} {
		b.engine.cfg.Now = func() time.Time { return time.Now().Add(tt.at) }
		if _, err := b.imports(t, files...); (err == nil) != tt.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzAHeaderIsReadAsItWasWritten(f *testing.F) {
	good, err := Part{Set: strings.Repeat("a", 32), From: alfa, To: bravo, Number: 1, Parts: 2, Bytes: 3, SHA256: strings.Repeat("b", 64)}.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[1:])
	f.Add([]byte(partMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePart(data)
		if err != nil {
			return
		}
		if again, err := p.Encode(); err != nil || !bytes.Equal(again, data) {
			t.Error("it is written differently", err)
		}
	})
}

func FuzzRecordsOfAnySortAreRefusedOrRead(f *testing.F) {
	f.Add([]byte("H\x00\x00\x00\x01x"))
	f.Add([]byte("A\xff\xff\xff\xff"))
	a, _ := newPair(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &reader{from: bytes.NewReader(data), sum: newSums()}
		for {
			kind, content, err := r.next()
			if err != nil {
				return
			}
			i := &importing{engine: a.engine, from: bravo, broken: map[store.Hash]string{}}
			if err := i.take(t.Context(), kind, content); err != nil {
				t.Error(err)
			}
		}
	})
}
