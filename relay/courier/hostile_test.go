// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package courier

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/seal"
)

// alone writes a file that says it is a part of a set of its own with the most parts that there can be.
func alone(t *testing.T, dir string, n int) string {
	t.Helper()
	content := []byte("x")
	head, err := Part{Set: fmt.Sprintf("%032x", n), From: alfa, To: bravo, Number: 1, Parts: MaxParts, Bytes: 1, SHA256: digest(content)}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, fmt.Sprintf("%d%s", n, Extension))
	if err := os.WriteFile(path, append(head, content...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAMediumWithFilesOfVeryManySetsTakesLittleMemory(t *testing.T) {
	const over = 200
	var files []string
	dir := t.TempDir()
	for n := range MaxSets + over {
		files = append(files, alone(t, dir, n))
	}
	files = append(files, files[0]) // of a set that is known already
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	sets, bad := Sort(files)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if len(sets) != MaxSets || len(bad) != over || !strings.Contains(bad[0].Error(), "name fewer files") {
		t.Errorf("%d sets, %d files are bad, the first: %v", len(sets), len(bad), bad[0])
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
		t.Errorf("they take %d MiB", grown>>20)
	}
	if want := fmt.Sprintf("parts 2–%d of %d", MaxParts, MaxParts); sets[0].Lacks() != want {
		t.Errorf("the first set lacks %s, want %s", sets[0].Lacks(), want)
	}
	runtime.KeepAlive(sets)
}

func TestOnlyFilesAreRead(t *testing.T) {
	dir := t.TempDir()
	good := alone(t, dir, 1)
	device := filepath.Join(dir, "device"+Extension)
	if err := os.Symlink("/dev/zero", device); err != nil {
		t.Fatal(err)
	}
	linked := filepath.Join(dir, "link"+Extension)
	if err := os.Symlink(good, linked); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{device: "it is no file", dir: "it is no file", filepath.Join(dir, "none"): "no such file", good: "", linked: ""} {
		_, err := ReadPart(path)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", filepath.Base(path), err, want)
		}
	}
	longer := alone(t, dir, 2)
	if err := os.Truncate(longer, 1<<36); err != nil { // it has holes, and takes no room
		t.Fatal(err)
	}
	begun := time.Now()
	if _, err := ReadPart(longer); !errors.Is(err, ErrDamaged) {
		t.Errorf("a file that is much longer than it says: %v", err)
	}
	if took := time.Since(begun); took > time.Minute {
		t.Errorf("it was read for %s", took)
	}
}

// forge writes a set that alfa has sealed and signed as a set should be, with records that no relay of ours writes.
func forge(t *testing.T, from *nation, records func(w *writer) error) []string {
	t.Helper()
	set := strings.Repeat("a", 32)
	split, err := NewSplitter(t.TempDir(), "forged", set, from.td, from.peer.td, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := seal.NewWriter(from.peer.key.Public(), envelope(from.td, from.peer.td), split)
	if err != nil {
		t.Fatal(err)
	}
	w := &writer{to: sealed, sum: newSums()}
	sign := func(kind byte, s Statement) {
		t.Helper()
		payload, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := receipt.Sign(from, TypeStatement, payload)
		if err == nil {
			err = w.put(kind, jws)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s := Statement{Version: 1, Set: set, From: from.td, To: from.peer.td, At: time.Now().UTC().Truncate(time.Second)}
	sign(recordHeader, s)
	if err := records(w); err != nil {
		t.Fatal(err)
	}
	s.Records, s.SHA256 = w.records, w.sum.hex()
	sign(recordEnd, s)
	if err := sealed.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := split.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// pieceOf is the first byte of an attachment of two, which is never there as a whole.
func pieceOf(n int) []byte {
	piece := make([]byte, 49)
	binary.BigEndian.PutUint64(piece, uint64(n))
	piece[39] = 2
	return piece
}

func TestASetOfAPeerWithoutMeasureChangesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		records func(w *writer) error
		want    string
	}{
		"that_names_very_many_attachments": {func(w *writer) error {
			for n := range maxFiles + 1 {
				if err := w.put(recordAttachment, pieceOf(n)); err != nil {
					return err
				}
			}
			return nil
		}, "more than"},
		"whose_record_is_larger_than_any": {func(w *writer) error {
			head := []byte{recordBatch, 0xff, 0xff, 0xff, 0xff}
			w.sum.add(head)
			w.records++
			_, err := w.to.Write(head)
			return err
		}, "damaged"},
		"whose_record_is_longer_than_the_set": {func(w *writer) error {
			head := []byte{recordBatch, 0, maxRecord >> 16, 0, 0}
			w.sum.add(head)
			w.records++
			_, err := w.to.Write(head)
			return err
		}, "ends early"},
		"with_two_beginnings": {func(w *writer) error { return w.put(recordHeader, []byte("x")) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := newPair(t)
			s, err := b.imports(t, forge(t, a, c.records)...)
			if c.want == "" {
				if err != nil || len(s.Refused) != 1 {
					t.Errorf("%+v, %v", s, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, ErrDamaged) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
			if len(b.got) > 0 || len(b.acts) > 0 {
				t.Errorf("it changed something: %v %v", b.got, b.acts)
			}
		})
	}
}

// TestPartsOfTwoExportsDoNotMix puts parts of one set under the headers of another, as somebody can who knows the form.
func TestPartsOfTwoExportsDoNotMix(t *testing.T) {
	a, b := newPair(t)
	a.attach(t, bytes.Repeat([]byte("content "), 20_000))
	_, one := a.export(t, 64<<10)
	_, two := a.export(t, 64<<10)
	if len(one) != len(two) || len(one) < 3 {
		t.Fatal(len(one), len(two), "files")
	}
	if _, err := b.imports(t, one[0], two[1]); err == nil {
		t.Error("parts of two sets were taken for one")
	}
	head, err := ReadPart(one[1])
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(two[1])
	if err != nil {
		t.Fatal(err)
	}
	head.Bytes, head.SHA256 = int64(len(raw)-HeaderBytes), digest(raw[HeaderBytes:])
	encoded, err := head.Encode()
	if err != nil {
		t.Fatal(err)
	}
	mixed := filepath.Join(t.TempDir(), "mixed"+Extension)
	if err := os.WriteFile(mixed, append(encoded, raw[HeaderBytes:]...), 0o600); err != nil {
		t.Fatal(err)
	}
	files := append([]string{one[0], mixed}, one[2:]...)
	if _, err := b.imports(t, files...); !errors.Is(err, ErrDamaged) || len(b.acts) > 0 {
		t.Errorf("a part of another set under a good header: %v, acts %v", err, b.acts)
	}
	// Both parts of the same number: which one is good nobody can tell, so the set is not taken.
	if _, err := b.imports(t, append(files, one[1])...); err == nil || !strings.Contains(err.Error(), "does not go with the other files") {
		t.Errorf("a part twice with other content: %v", err)
	}
	if s, err := b.imports(t, one...); err != nil || s.Messages != 1 {
		t.Errorf("the set itself: %+v, %v", s, err)
	}
}
