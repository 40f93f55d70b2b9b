// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/certlink/certlink/relay/store"
)

// Where things are in the first page of a database, in a log and in its frames (SQLite's "Database File Format", 1.3,
// 1.6 and 4.1 to 4.3).
const (
	fileMagic         = "SQLite format 3\x00"
	versionMark       = 60
	applicationMark   = 68
	pageType          = 100
	cellsMark         = 103
	headOfFirst       = 105
	interiorPage      = 0x05
	logMagic          = 0x377f0682 // its last bit says that checksums are of big-endian words
	sumOfLog, sumSize = 24, 8
	sumOfFrame        = 16
)

// facts are what the first page of a database says of it.
type facts struct {
	version, application int
	tables               bool
}

// refusal is pure: why a release that knows so many versions leaves a database alone, nil if it does not.
func (f facts) refusal(known int) error {
	switch {
	case f.application != applicationID && f.tables:
		return fmt.Errorf("it is the database of another program (application id %#x): give the relay a path of its own", f.application)
	case f.version > known:
		return fmt.Errorf("%w: it has version %d, this release knows versions up to %d: run the newer release again, or restore a backup from before the upgrade",
			store.ErrNewerSchema, f.version, known)
	}
	return nil
}

// peek refuses a database that is not ours, or of a newer release, before SQLite opens it: which, as it closes, carries
// the log that a process has left into the file. It only reads, without a lock. Should another process write meanwhile it may see
// the state before, or none: then the look of checkVersion, through SQLite, decides. So it does where a tool has left a rollback
// journal, which we never have: the file alone may show what was not committed.
func peek(path string) error {
	if info, err := os.Stat(path + "-journal"); err == nil && info.Size() > 0 {
		return nil
	}
	known, err := steps()
	if err != nil {
		return err
	}
	head, err := firstPage(path)
	if err != nil {
		return err
	}
	f, ok := readFacts(head)
	if !ok {
		return nil // it is new, or SQLite says what is wrong with it
	}
	return f.refusal(len(known))
}

// firstPage is the head of the first page as it was committed last, in the log or else in the file.
func firstPage(path string) (head []byte, err error) {
	head, err = headFrom(path+"-wal", newestFirst)
	if head != nil || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return head, err
	}
	return headFrom(path, func(file io.ReaderAt) ([]byte, error) {
		head := make([]byte, headOfFirst)
		if whole, err := readWhole(file, head, 0); !whole {
			return nil, err
		}
		return head, nil
	})
}

func headFrom(path string, read func(io.ReaderAt) ([]byte, error)) (head []byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return read(file)
}

func readFacts(head []byte) (facts, bool) {
	if len(head) < headOfFirst || !bytes.HasPrefix(head, []byte(fileMagic)) {
		return facts{}, false
	}
	number := func(at int) int { return int(binary.BigEndian.Uint32(head[at:])) }
	return facts{
		version: number(versionMark), application: number(applicationMark),
		tables: head[pageType] == interiorPage || binary.BigEndian.Uint16(head[cellsMark:]) > 0,
	}, true
}

// newestFirst is the head of the first page in the last transaction of a log that has one; nil if none has. A log ends
// where a checksum is wrong.
func newestFirst(log io.ReaderAt) (head []byte, err error) {
	header := make([]byte, logHeader)
	if whole, err := readWhole(log, header, 0); !whole {
		return nil, err
	}
	size := binary.BigEndian.Uint32(header[pageSizeMark:])
	magic := binary.BigEndian.Uint32(header)
	sum := sums{order: binary.LittleEndian}
	if magic&1 != 0 {
		sum.order = binary.BigEndian
	}
	sum.add(header[:sumOfLog])
	if magic&^1 != logMagic || size < smallestPage || size > largestPage || size&(size-1) != 0 || !sum.is(header[sumOfLog:]) {
		return nil, nil
	}
	var changed []byte
	frame := make([]byte, frameHeader+size)
	for at := int64(logHeader); ; at += int64(len(frame)) {
		whole, err := readWhole(log, frame, at)
		if err != nil {
			return nil, err
		}
		if !whole || !bytes.Equal(frame[saltsOfFrame:saltsOfFrame+salted], header[saltsOfLog:saltsOfLog+salted]) {
			return head, nil
		}
		sum.add(frame[:saltsOfFrame])
		sum.add(frame[frameHeader:])
		if !sum.is(frame[sumOfFrame:frameHeader]) {
			return head, nil
		}
		if binary.BigEndian.Uint32(frame) == 1 {
			changed = bytes.Clone(frame[frameHeader : frameHeader+headOfFirst])
		}
		if changed != nil && binary.BigEndian.Uint32(frame[commitMark:]) != 0 {
			head, changed = changed, nil
		}
	}
}

// sums are the two checksums of a log, each over all that came before.
type sums struct {
	order binary.ByteOrder
	a, b  uint32
}

// add takes in bytes, whose number is a multiple of eight.
func (s *sums) add(data []byte) {
	for ; len(data) >= sumSize; data = data[sumSize:] {
		s.a += s.order.Uint32(data) + s.b
		s.b += s.order.Uint32(data[4:]) + s.a
	}
}

func (s *sums) is(stored []byte) bool {
	return binary.BigEndian.Uint32(stored) == s.a && binary.BigEndian.Uint32(stored[4:]) == s.b
}
