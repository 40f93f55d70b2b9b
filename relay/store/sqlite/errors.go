// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
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

func diskIsFull(dir string) bool {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return false
	}
	return st.Bavail*uint64(st.Bsize) < roomForLog
}
