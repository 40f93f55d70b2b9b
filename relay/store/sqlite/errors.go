// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/certlink/certlink/relay/store"
)

// roomForLog is the free space below which an input/output error of SQLite is
// taken for a full disk: its shared index and its log grow in steps of 32 KiB,
// and it reports a failure to grow them as an I/O error, or cannot open them.
const roomForLog = 256 << 10

// largestReserve is the room that is kept on a disk of 1 GiB and more; on a
// smaller one it is a sixteenth.
const largestReserve = 64 << 20

// keepReserve refuses a write, before it begins, that would take room from our
// own messages and their receipts, which alone may use the disk to its end: what
// peers and tools make grow stops first. Part is 1 for objects and decisions,
// which leave the whole reserve, and 2 for messages of peers, and for what must be noted
// of objects before they are deleted, which leave half;
// bytes are about what the write adds to the log.
//
// The file never shrinks: what retention lets go of stays in it as free pages. Where they hold a whole
// reserve, half as much of the disk is enough: what is stored finds its place in the file, and the
// disk has room for the log, which alone grows.
func (s *Store) keepReserve(part uint64, bytes int64) error {
	free, size, err := room(filepath.Dir(s.path))
	if err != nil {
		return nil //nolint:nilerr // the write itself finds out
	}
	kept, needed := min(largestReserve, size/16)/part, uint64(bytes) //nolint:gosec // it is not negative
	if free >= kept+needed || free >= kept/2+needed && s.vacant() >= kept+needed {
		return nil
	}
	return fmt.Errorf("%w: the last %d bytes are kept for messages", store.ErrFull, kept)
}

// vacant is how many bytes the free pages of the file hold; 0 when that cannot be read.
func (s *Store) vacant() (bytes uint64) {
	row := s.read.QueryRowContext(context.Background(), "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size")
	if row.Scan(&bytes) != nil {
		return 0
	}
	return bytes
}

// classify turns the errors of the driver that callers act on into those of
// package store. The rest stays as it is.
func (s *Store) classify(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN:
		if diskIsFull(filepath.Dir(s.path)) {
			return fmt.Errorf("%w: %w", store.ErrFull, err)
		}
	}
	return err
}

// isBusy tells whether another connection was in the way.
func isBusy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY
}

func diskIsFull(dir string) bool {
	free, _, err := room(dir)
	return err == nil && free < roomForLog
}

// room is the free space and the size of the file system of a directory, in bytes.
func room(dir string) (free, size uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	block := uint64(st.Bsize) //nolint:gosec // a size is not negative
	return st.Bavail * block, st.Blocks * block, nil
}
