// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"encoding/binary"

	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// A frame of the log is a header and a page; the header of the log itself comes first. A header says the size of
	// the database, in pages, if it is the last of a transaction, and 0 otherwise.
	logHeader, frameHeader = 32, 24
	commitMark             = 4
	// mostHeld bytes are written at once, less than the 128 KiB that SQLite's own files take in one call.
	mostHeld = 64 << 10
)

// frames gathers the frames of a transaction, which SQLite writes one after the other in two pieces each, so that they
// are written with one call: two dozen calls cost more than what they write.
//
// SQLite shows a transaction to others, and answers, after it has written its last frame, and undoes it if that, or any
// of them, fails. So
//
//  1. frames of a transaction are held in memory: a crash leaves nothing of them, which is
//     what counts of a transaction without its last frame anyway
//  2. with the page of the last frame, or when there are many, all are written, in their order: a crash leaves
//     some of them, as ever; if it fails, that fails for which it was done, and nothing is held any more
//  3. what is held is written before anything is read of it, and before what is written elsewhere
//  4. what is still held when the connection lets go of the lock of writers was undone, and is dropped: others may write
//     there from then on, and it would be written over what they have stored
//
// So what is held is of a transaction that goes on, and ends where that, back at a savepoint, adds its next frame. A header is held only where a frame is added: those that SQLite writes
// anew in the end, when it has changed a frame of the same transaction, have no page that follows. It reads them before.
type frames struct {
	// start is where the held bytes belong, end where the last added frame ends. As many are held as there is room for.
	start, end int64
	held       []byte
	// headed is where the header that was written last ends, 0 if something else was. last: it is that of a
	// transaction's last frame.
	headed int64
	last   bool
}

// next is the place behind what is held.
func (f *frames) next() int64 { return f.start + int64(len(f.held)) }

// take holds what SQLite writes at a place if it is part of an added frame. Then full says that it is time to write.
func (f *frames) take(data []byte, at int64) (held, full bool) {
	switch {
	case len(data) == logHeader && at == 0:
		f.held = f.held[:0] // undone: nothing is in use of a log that begins anew
	case len(data) == frameHeader:
		if len(f.held) > 0 && at < f.next() { // what was there is undone
			f.held, f.start, f.end = f.held[:max(0, at-f.start)], min(f.start, at), at
		}
		if at != f.end || len(f.held) > 0 && at != f.next() || cap(f.held) == 0 {
			return false, false
		}
		if len(f.held) == 0 {
			f.start = at
		}
		f.held, f.headed, f.last = append(f.held, data...), at+frameHeader, binary.BigEndian.Uint32(data[commitMark:]) != 0
		return true, false
	case len(f.held) > 0 && at == f.headed && at == f.next():
		f.held, f.headed, f.end = append(f.held, data...), 0, at+int64(len(data))
		return true, f.last || len(f.held)+frameHeader+len(data) > cap(f.held)
	}
	return false, false
}

// passed notes what was written without being held.
func (f *frames) passed(size int, at int64) {
	switch {
	case size == logHeader && at == 0:
		f.end, f.headed = logHeader, 0
	case size == frameHeader:
		f.headed = at + frameHeader
	case at == f.headed:
		f.end, f.headed = at+int64(size), 0
	default:
		f.headed = 0
	}
}

// write does what SQLite asks for, through to, as it is time for it. It returns the result of what was written.
func (f *frames) write(data []byte, at int64, to func(data []byte, at int64) int32) int32 {
	held, full := f.take(data, at)
	if held && !full {
		return sqlite3.SQLITE_OK
	}
	if rc := f.flush(to); rc != sqlite3.SQLITE_OK || held {
		f.held = f.held[:0]
		return rc
	}
	rc := to(data, at)
	if rc == sqlite3.SQLITE_OK {
		f.passed(len(data), at)
	}
	return rc
}

// undone is called when others may write to the log.
func (f *frames) undone() { f.held = f.held[:0] }

// read is called before so many bytes are read at a place.
func (f *frames) read(size int, at int64, to func(data []byte, at int64) int32) int32 {
	if at < f.next() && at+int64(size) > f.start {
		return f.flush(to)
	}
	return sqlite3.SQLITE_OK
}

// flush writes what is held. If that fails it stays.
func (f *frames) flush(to func(data []byte, at int64) int32) int32 {
	if len(f.held) == 0 {
		return sqlite3.SQLITE_OK
	}
	rc := to(f.held, f.start)
	if rc == sqlite3.SQLITE_OK {
		f.held = f.held[:0]
	}
	return rc
}
