// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// kernel is a file as the kernel has it: a sync that fails leaves pages that are shown, and clean, and not on the disk.
type kernel struct {
	shown, disk []byte
	dirty       map[int]bool
	broken      bool
	// written is up to where anything was written.
	written int64
}

const kernelPage = 4096

func (k *kernel) ReadAt(p []byte, at int64) (int, error) {
	return bytes.NewReader(k.shown).ReadAt(p, at)
}

func (k *kernel) WriteAt(p []byte, at int64) (int, error) {
	end := at + int64(len(p))
	if end > int64(len(k.shown)) {
		return 0, io.ErrShortWrite
	}
	copy(k.shown[at:], p)
	for page := at / kernelPage; page*kernelPage < end; page++ {
		k.dirty[int(page)] = true
	}
	k.written = max(k.written, end)
	return len(p), nil
}

func (k *kernel) sync() error {
	was := k.dirty
	k.dirty = map[int]bool{}
	if k.broken && len(was) > 0 {
		return unix.EIO
	}
	for page := range was {
		end := min((page+1)*kernelPage, len(k.shown))
		copy(k.disk[page*kernelPage:end], k.shown[page*kernelPage:end])
	}
	return nil
}

// lost is the log of a database at path of which nothing has come to the disk but so many bytes, as a failed sync leaves it.
func lost(t *testing.T, path string, but int) *kernel {
	t.Helper()
	log, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	k := &kernel{shown: log, disk: make([]byte, len(log)), dirty: map[int]bool{}, broken: true}
	copy(k.disk, log[:but])
	if _, err := k.WriteAt(log[but:], int64(but)); err != nil {
		t.Fatal(err)
	}
	if err := k.sync(); err == nil {
		t.Fatal("the sync did not fail")
	}
	k.written = 0
	return k
}

func TestWhatAFailedSyncHasLostIsOnTheDiskAfterTheLogIsWrittenAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	s := open(t, path)
	for _, id := range []string{"m1", "m2", "m3"} {
		if err := enqueue(t, s, id); err != nil {
			t.Fatal(err)
		}
	}
	k := lost(t, path, logHeader+2*(frameHeader+4096))
	k.broken = false
	if err := k.sync(); err != nil {
		t.Fatal(err)
	}
	if err := foundAfterPowerLoss(t, path, k.disk, "m3"); err == nil {
		t.Fatal("a second sync alone has brought it to the disk: this tests nothing")
	}
	if err := writeAnew(k, k.sync); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"m1", "m2", "m3"} {
		if err := foundAfterPowerLoss(t, path, k.disk, id); err != nil {
			t.Errorf("%s is shown, and a power loss takes it: %v", id, err)
		}
	}
}

func TestALogThatCannotBeBroughtToTheDiskIsNotTrusted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	if err := enqueue(t, open(t, path), "m1"); err != nil {
		t.Fatal(err)
	}
	k := lost(t, path, logHeader)
	for range 2 { // each start says so again
		if err := writeAnew(k, k.sync); !errors.Is(err, ErrUnflushed) || !errors.Is(err, unix.EIO) {
			t.Errorf("it returns %v", err)
		}
	}
}

func TestOnlyTheFramesInUseAreWrittenAnew(t *testing.T) {
	const page = 512
	frame := func(salt byte) []byte {
		f := make([]byte, frameHeader+page)
		copy(f[saltsOfFrame:], bytes.Repeat([]byte{salt}, salted))
		return f
	}
	header := make([]byte, logHeader)
	binary.BigEndian.PutUint32(header[pageSizeMark:], page)
	copy(header[saltsOfLog:], bytes.Repeat([]byte{7}, salted))
	ofNoSize := bytes.Clone(header)
	binary.BigEndian.PutUint32(ofNoSize[pageSizeMark:], 1<<30)
	for name, c := range map[string]struct {
		log  []byte
		want int
	}{
		"two_and_one_from_before_the_log_began_anew": {bytes.Join([][]byte{header, frame(7), frame(7), frame(6), frame(7)}, nil), logHeader + 2*(frameHeader+page)},
		"one_and_zeros":            {bytes.Join([][]byte{header, frame(7), make([]byte, 5000)}, nil), logHeader + frameHeader + page},
		"one_and_a_part_of_one":    {bytes.Join([][]byte{header, frame(7), frame(7)[:100]}, nil), logHeader + frameHeader + page},
		"none":                     {header, logHeader},
		"a_part_of_a_header":       {header[:20], 0},
		"pages_of_a_gibibyte":      {bytes.Join([][]byte{ofNoSize, frame(7)}, nil), 0},
		"zeros_for_a_header":       {make([]byte, 4096), 0},
		"nothing_at_all":           {nil, 0},
		"another_header_and_a_log": {bytes.Join([][]byte{make([]byte, logHeader), frame(7)}, nil), 0},
	} {
		t.Run(name, func(t *testing.T) {
			k := &kernel{shown: bytes.Clone(c.log), disk: make([]byte, len(c.log)), dirty: map[int]bool{}}
			if err := writeAnew(k, k.sync); err != nil {
				t.Fatal(err)
			}
			if k.written != int64(c.want) || !bytes.Equal(k.shown, c.log) {
				t.Errorf("%d bytes were written, want %d, the same as before", k.written, c.want)
			}
		})
	}
}

// TestAStartAfterAnUncleanEndWritesTheLogAnewFirst: before SQLite carries it into the database, and lets go of it.
func TestAStartAfterAnUncleanEndWritesTheLogAnewFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	if err := enqueue(t, open(t, path), "m1"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, suffix := range []string{"", "-wal"} { // as it is after kill -9
		content, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "relay.db"+suffix), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []bool{true, false} { // then after a clean end
		watch, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unix.InotifyAddWatch(watch, dir, unix.IN_MODIFY|unix.IN_DELETE|unix.IN_CREATE); err != nil {
			t.Fatal(err)
		}
		s := open(t, filepath.Join(dir, "relay.db"))
		if got := firstOfLog(t, watch) == unix.IN_MODIFY; got != want {
			t.Errorf("the log was written before anything else happened to it: %t, want %t", got, want)
		}
		if err := errors.Join(unix.Close(watch), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// firstOfLog is what happened first to the log, of what a watch has seen.
func firstOfLog(t *testing.T, watch int) uint32 {
	t.Helper()
	seen := make([]byte, 64<<10)
	n, err := unix.Read(watch, seen)
	if err != nil {
		t.Fatal(err)
	}
	for seen = seen[:n]; len(seen) > 0; {
		mask, length := binary.NativeEndian.Uint32(seen[4:]), binary.NativeEndian.Uint32(seen[12:])
		name := string(bytes.TrimRight(seen[unix.SizeofInotifyEvent:unix.SizeofInotifyEvent+length], "\x00"))
		if name == "relay.db-wal" {
			return mask
		}
		seen = seen[unix.SizeofInotifyEvent+length:]
	}
	return 0
}
