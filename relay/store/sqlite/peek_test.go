// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

// image are the files of a database at a path, as kill -9 leaves them.
func image(t *testing.T, path string) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		content, err := os.ReadFile(path + suffix)
		if err == nil {
			found[suffix] = content
		} else if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	return found
}

// restored puts an image elsewhere, without the index, and returns its path.
func restored(t *testing.T, files map[string][]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "relay.db")
	for suffix, content := range files {
		if suffix == "-shm" {
			continue
		}
		if err := os.WriteFile(path+suffix, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestARelayThatMustLeaveADatabaseAloneLeavesItsLogAsWell(t *testing.T) {
	for name, c := range map[string]struct {
		change string
		want   func(err error) bool
	}{
		"of_a_newer_release": {"PRAGMA user_version = 99", func(err error) bool {
			return errors.Is(err, store.ErrNewerSchema) && strings.Contains(err.Error(), "version 99")
		}},
		"of_another_program": {"PRAGMA application_id = 7", func(err error) bool { return err != nil && strings.Contains(err.Error(), "another program") }},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, filepath.Join(t.TempDir(), "relay.db"))
			if _, err := s.carry.ExecContext(t.Context(), "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
				t.Fatal(err)
			}
			if _, err := s.write.ExecContext(t.Context(), c.change); err != nil {
				t.Fatal(err)
			}
			path := restored(t, image(t, s.path))
			before := image(t, path)
			if len(before["-wal"]) == 0 {
				t.Fatal("there is no log: this tests nothing")
			}
			if _, err := Open(t.Context(), Config{Path: path}); !c.want(err) {
				t.Errorf("it says %v", err)
			}
			if after := image(t, path); !maps.EqualFunc(before, after, bytes.Equal) {
				t.Errorf("it leaves %d files where there were %d, or other content", len(after), len(before))
			}
		})
	}
}

func TestWhatIsPeekedIsWhatWasCommittedLast(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	check := func(what string, want int) {
		t.Helper()
		head, err := firstPage(s.path)
		if err != nil {
			t.Fatal(err)
		}
		if f, ok := readFacts(head); !ok || f != (facts{want, applicationID, true}) {
			t.Errorf("%s: it is %+v, want version %d", what, f, want)
		}
	}
	do := func(statements ...string) {
		t.Helper()
		for _, statement := range statements {
			if _, err := s.write.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
	}
	known, err := steps()
	if err != nil {
		t.Fatal(err)
	}
	check("a new one", len(known))
	do("PRAGMA user_version = 70")
	check("in the log", 70)
	do("PRAGMA user_version = 71", "PRAGMA user_version = 72")
	check("thrice in the log", 72)
	do("BEGIN", "PRAGMA user_version = 73", "ROLLBACK")
	check("with one that was undone", 72)
	do("CREATE TABLE more (c)", "INSERT INTO more VALUES (randomblob(100000))")
	check("with others behind it", 72)
	if _, err := s.carry.ExecContext(t.Context(), "PRAGMA wal_checkpoint(RESTART)"); err != nil {
		t.Fatal(err)
	}
	do("INSERT INTO more VALUES (1)")
	check("carried, with another in a log that began anew", 72)
	do("PRAGMA user_version = 74")
	log, err := os.ReadFile(s.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	damaged := 0
	for i := range log {
		if i%997 == 0 || i < logHeader+frameHeader {
			log[i] ^= 1
			head, err := newestFirst(bytes.NewReader(log))
			log[i] ^= 1
			if err != nil {
				t.Fatal(err)
			}
			if f, ok := readFacts(head); ok && f.version != 74 && f.version != 72 {
				t.Errorf("with a wrong bit in byte %d it says version %d", i, f.version)
			} else if !ok {
				damaged++
			}
		}
	}
	if damaged == 0 {
		t.Error("no wrong bit was noticed: this tests nothing")
	}
}

// sealedLog is a log of these pages, each a transaction of its own, with checksums of one order of bytes.
func sealedLog(order binary.ByteOrder, magic uint32, pages ...[]byte) []byte {
	header := make([]byte, logHeader)
	binary.BigEndian.PutUint32(header, magic)
	binary.BigEndian.PutUint32(header[pageSizeMark:], uint32(len(pages[0])))
	copy(header[saltsOfLog:], "12345678")
	sum := sums{order: order}
	seal := func(at []byte, covered ...[]byte) {
		for _, part := range covered {
			sum.add(part)
		}
		binary.BigEndian.PutUint32(at, sum.a)
		binary.BigEndian.PutUint32(at[4:], sum.b)
	}
	seal(header[sumOfLog:], header[:sumOfLog])
	log := header
	for _, page := range pages {
		frame := make([]byte, frameHeader)
		binary.BigEndian.PutUint32(frame, 1)
		binary.BigEndian.PutUint32(frame[commitMark:], 1)
		copy(frame[saltsOfFrame:], "12345678")
		seal(frame[sumOfFrame:], frame[:saltsOfFrame], page)
		log = append(append(log, frame...), page...)
	}
	return log
}

func TestALogOfEitherOrderOfBytesIsRead(t *testing.T) {
	first, second := bytes.Repeat([]byte{1, 2, 3}, 512/3+1)[:512], bytes.Repeat([]byte{4, 5}, 256)
	for name, log := range map[string][]byte{
		"little_endian": sealedLog(binary.LittleEndian, logMagic, first, second),
		"big_endian":    sealedLog(binary.BigEndian, logMagic|1, first, second),
	} {
		head, err := newestFirst(bytes.NewReader(log))
		if err != nil || !bytes.Equal(head, second[:headOfFirst]) {
			t.Errorf("%s: %x, %v", name, head, err)
		}
	}
}

func FuzzNewestFirst(f *testing.F) {
	page := make([]byte, 512)
	f.Add(sealedLog(binary.LittleEndian, logMagic, page, page))
	f.Add(sealedLog(binary.BigEndian, logMagic|1, page)[:500])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, log []byte) {
		head, err := newestFirst(bytes.NewReader(log))
		if err != nil || head != nil && len(head) != headOfFirst {
			t.Errorf("%d bytes, %v", len(head), err)
		}
		if _, ok := readFacts(log); ok && len(log) < headOfFirst {
			t.Error("it reads what is not there")
		}
	})
}
