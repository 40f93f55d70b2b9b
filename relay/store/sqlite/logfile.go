// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// logVFS is the name under which SQLite knows the files of the writer: they are its own, but for the log, whose
// frames are gathered, and for the lock of writers, which ends what is held.
const logVFS = "certlink"

// logFile is the log that a writer has open. SQLite uses it from one thread at a time.
type logFile struct {
	inner  *sqlite3.Tsqlite3_io_methods
	frames frames
	// methods and room are SQLite's memory: its table of what can be done with the file, and what is held.
	methods, room uintptr
}

// logFiles are those that are open: by the address of their methods, by which SQLite finds what to call, and by
// the connection, which has one log.
var logFiles = struct {
	sync.RWMutex
	open map[uintptr]*logFile
	of   map[*libc.TLS]*logFile
}{open: map[uintptr]*logFile{}, of: map[*libc.TLS]*logFile{}}

// writersLock is the place of the lock that a connection has while it writes to the log (SQLite's "WAL-mode File
// Format", "WAL Locks"), and unlocked how it is let go.
const (
	writersLock = 0
	unlocked    = sqlite3.SQLITE_SHM_UNLOCK | sqlite3.SQLITE_SHM_EXCLUSIVE
)

// lockedFiles are the methods of databases, made once for each of SQLite's own.
var lockedFiles = struct {
	sync.RWMutex
	own, ours map[uintptr]uintptr
}{own: map[uintptr]uintptr{}, ours: map[uintptr]uintptr{}}

// unixFiles is SQLite's own way to files; it stays as long as the process.
var unixFiles sqlite3.Tsqlite3_vfs

type (
	openCall = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32
	moveCall = func(tls *libc.TLS, file, data uintptr, size int32, at int64) int32
	lockCall = func(tls *libc.TLS, file uintptr, offset, n, flags int32) int32
	endCall  = func(tls *libc.TLS, file uintptr) int32
)

// registerLog makes the files of a writer known to SQLite.
var registerLog = sync.OnceValue(func() error {
	tls := libc.NewTLS()
	defer tls.Close()
	found := sqlite3.Xsqlite3_vfs_find(tls, 0)
	if found == 0 {
		return errors.New("finding SQLite's way to files: there is none")
	}
	unixFiles = *at[sqlite3.Tsqlite3_vfs](found)
	name, err := libc.CString(logVFS)
	if err != nil {
		return fmt.Errorf("naming the files of a writer: %w", err)
	}
	ours := libc.Xcalloc(tls, 1, libc.Tsize_t(unsafe.Sizeof(unixFiles)))
	if ours == 0 {
		return errors.New("making the files of a writer: there is no memory")
	}
	vfs := at[sqlite3.Tsqlite3_vfs](ours)
	*vfs = unixFiles
	vfs.FpNext, vfs.FzName, vfs.FxOpen = 0, name, function(openFile)
	if rc := sqlite3.Xsqlite3_vfs_register(tls, ours, 0); rc != sqlite3.SQLITE_OK {
		return fmt.Errorf("making the files of a writer known to SQLite: result %d", rc)
	}
	return nil
})

// at is what SQLite has at an address, outside of Go's memory.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }

// function is by what SQLite calls a function; it must be one that is declared, no closure.
func function[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&f)) }

// called is the other way round.
func called[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&p)) }

func openFile(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32 {
	rc := called[openCall](unixFiles.FxOpen)(tls, vfs, name, file, flags, outFlags)
	of := at[sqlite3.Tsqlite3_file](file)
	switch {
	case rc != sqlite3.SQLITE_OK:
	case flags&sqlite3.SQLITE_OPEN_MAIN_DB != 0:
		methods := locked(tls, of.FpMethods)
		if methods == 0 {
			called[endCall](at[sqlite3.Tsqlite3_io_methods](of.FpMethods).FxClose)(tls, file)
			of.FpMethods = 0
			return sqlite3.SQLITE_NOMEM
		}
		of.FpMethods = methods
	case flags&sqlite3.SQLITE_OPEN_WAL != 0:
		gather(tls, of)
	}
	return rc
}

// locked is how SQLite treats a database, but for the lock; 0 if there is no memory for it.
func locked(tls *libc.TLS, methods uintptr) uintptr {
	lockedFiles.Lock()
	defer lockedFiles.Unlock()
	if ours := lockedFiles.ours[methods]; ours != 0 {
		return ours
	}
	own := at[sqlite3.Tsqlite3_io_methods](methods)
	ours := libc.Xcalloc(tls, 1, libc.Tsize_t(unsafe.Sizeof(*own)))
	if ours == 0 {
		return 0
	}
	table := at[sqlite3.Tsqlite3_io_methods](ours)
	*table = *own
	table.FxShmLock = function(lockLog)
	lockedFiles.ours[methods], lockedFiles.own[ours] = ours, own.FxShmLock
	return ours
}

// lockLog drops what is held before others may write: it was undone, and its place is theirs.
func lockLog(tls *libc.TLS, file uintptr, offset, n, flags int32) int32 {
	if offset == writersLock && flags == unlocked {
		logFiles.RLock()
		l := logFiles.of[tls]
		logFiles.RUnlock()
		if l != nil {
			l.frames.undone()
		}
	}
	lockedFiles.RLock()
	own := lockedFiles.own[at[sqlite3.Tsqlite3_file](file).FpMethods]
	lockedFiles.RUnlock()
	return called[lockCall](own)(tls, file, offset, n, flags)
}

// gather makes a log one whose frames are held, if there is memory for that.
func gather(tls *libc.TLS, of *sqlite3.Tsqlite3_file) {
	l := &logFile{inner: at[sqlite3.Tsqlite3_io_methods](of.FpMethods)}
	l.methods = libc.Xcalloc(tls, 1, libc.Tsize_t(unsafe.Sizeof(*l.inner)))
	l.room = libc.Xcalloc(tls, 1, mostHeld)
	if l.methods == 0 || l.room == 0 {
		l.free(tls)
		return // it is written frame by frame
	}
	l.frames.held = unsafe.Slice(at[byte](l.room), mostHeld)[:0]
	methods := at[sqlite3.Tsqlite3_io_methods](l.methods)
	*methods = *l.inner
	methods.FxClose, methods.FxRead, methods.FxWrite = function(closeLog), function(readLog), function(writeLog)
	logFiles.Lock()
	defer logFiles.Unlock()
	logFiles.open[l.methods], logFiles.of[tls] = l, l
	of.FpMethods = l.methods
}

func (l *logFile) free(tls *libc.TLS) {
	for _, p := range []uintptr{l.methods, l.room} {
		if p != 0 {
			libc.Xfree(tls, p)
		}
	}
}

// logOf is the log that SQLite calls a file.
func logOf(file uintptr) *logFile {
	logFiles.RLock()
	defer logFiles.RUnlock()
	return logFiles.open[at[sqlite3.Tsqlite3_file](file).FpMethods]
}

// writer writes to the file itself.
func (l *logFile) writer(tls *libc.TLS, file uintptr) func(data []byte, offset int64) int32 {
	return func(data []byte, offset int64) int32 {
		from := unsafe.SliceData(data)
		return called[moveCall](l.inner.FxWrite)(tls, file, uintptr(unsafe.Pointer(from)), int32(len(data)), offset) //nolint:gosec // the size is SQLite's, or below mostHeld
	}
}

func writeLog(tls *libc.TLS, file, data uintptr, size int32, offset int64) int32 {
	l := logOf(file)
	return l.frames.write(unsafe.Slice(at[byte](data), size), offset, l.writer(tls, file))
}

func readLog(tls *libc.TLS, file, data uintptr, size int32, offset int64) int32 {
	l := logOf(file)
	if rc := l.frames.read(int(size), offset, l.writer(tls, file)); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return called[moveCall](l.inner.FxRead)(tls, file, data, size, offset)
}

// closeLog drops what is held: it was undone.
func closeLog(tls *libc.TLS, file uintptr) int32 {
	l := logOf(file)
	of := at[sqlite3.Tsqlite3_file](file)
	logFiles.Lock()
	delete(logFiles.open, l.methods)
	delete(logFiles.of, tls)
	logFiles.Unlock()
	of.FpMethods = *(*uintptr)(unsafe.Pointer(&l.inner))
	l.free(tls)
	return called[endCall](l.inner.FxClose)(tls, file)
}
