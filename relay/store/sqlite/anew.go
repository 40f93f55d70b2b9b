// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

const (
	// The header of the log says the size of a page, and has the salts of all frames that are in use; a frame's
	// header has them, too.
	pageSizeMark       = 8
	saltsOfLog, salted = 16, 8
	saltsOfFrame       = 8
	// smallestPage and largestPage of a database.
	smallestPage, largestPage = 512, 64 << 10
)

// renewLog brings the log that a process before this one has left to stable storage, whatever became of its own
// syncs, before anything is shown or carried of it. After a clean end there is none.
//
// A sync that failed says so once: then the kernel shows what was to be written, calls it clean, and syncs it no
// more. Who trusts that shows, and carries into the database, what is not on the disk; a power
// loss after it would leave a beginning of the log beside a database that is newer. So
//
//  1. the lock of writers is taken: nobody adds to the log or begins it anew   crash: as before
//  2. the frames in use are written again, as they are read                    crash: any of them is what it was
//  3. the log is synced: what was read was dirty again, so this tells          crash after: all is on the disk
//
// What the kernel has let go of since is read as it is on the disk. Where that is not what was written the checksums of
// the frames are wrong, and SQLite ends the log there, for good: of what was answered nothing is.
func renewLog(ctx context.Context, path string) (err error) {
	info, err := os.Stat(path + "-wal")
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0:
		return nil
	case err != nil:
		return err
	}
	db, err := sql.Open("sqlite", dsn(path, "immediate"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing was changed
	log, err := os.OpenFile(path+"-wal", os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // who had the database open has ended meanwhile
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	return writeAnew(log, syncOf(log))
}

// logBytes are those of a log.
type logBytes interface {
	io.ReaderAt
	io.WriterAt
}

// writeAnew writes the frames in use of a log once more, and syncs it.
func writeAnew(log logBytes, sync func() error) error {
	header := make([]byte, logHeader)
	if whole, err := readWhole(log, header, 0); err != nil || !whole {
		return err
	}
	size := binary.BigEndian.Uint32(header[pageSizeMark:])
	if size < smallestPage || size > largestPage {
		return nil // it is no log that SQLite would read
	}
	if _, err := log.WriteAt(header, 0); err != nil {
		return fmt.Errorf("writing the log anew: %w", err)
	}
	salts := header[saltsOfLog : saltsOfLog+salted]
	frame := make([]byte, frameHeader+size)
	for at := int64(logHeader); ; at += int64(len(frame)) {
		whole, err := readWhole(log, frame, at)
		if err != nil {
			return err
		}
		if !whole || !bytes.Equal(frame[saltsOfFrame:saltsOfFrame+salted], salts) {
			break
		}
		if _, err := log.WriteAt(frame, at); err != nil {
			return fmt.Errorf("writing the log anew: %w", err)
		}
	}
	if err := sync(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnflushed, err)
	}
	return nil
}

// readWhole reads a part of the log; false where the log ends before it does.
func readWhole(log io.ReaderAt, part []byte, at int64) (bool, error) {
	_, err := log.ReadAt(part, at)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the log: %w", err)
	}
	return true, nil
}
