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

// writerKey is the parameter of a file's name that says whose it is.
const writerKey = "writer"

// logVFS is the name under which SQLite knows the files of the writer: they are its own, but for the log, whose
// frames are gathered.
const logVFS = "certlink"

// logFile is the log that a writer has open. SQLite uses it from one thread at a time.
type logFile struct {
	inner  *sqlite3.Tsqlite3_io_methods
	frames frames
	// writer is the number of the store whose writer it is, as text.
	writer string
	// methods and room are SQLite's memory: its table of what can be done with the file, and what is held.
	methods, room uintptr
}

// logFiles are those that are open, by the address of their methods, by which SQLite finds what to call.
var logFiles = struct {
	sync.RWMutex
	open map[uintptr]*logFile
}{open: map[uintptr]*logFile{}}

// unixFiles is SQLite's own way to files; it stays as long as the process.
var unixFiles sqlite3.Tsqlite3_vfs

type (
	openCall = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, outFlags uintptr) int32
	moveCall = func(tls *libc.TLS, file, data uintptr, size int32, at int64) int32
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
	if rc != sqlite3.SQLITE_OK || flags&sqlite3.SQLITE_OPEN_WAL == 0 {
		return rc
	}
	of := at[sqlite3.Tsqlite3_file](file)
	l := &logFile{inner: at[sqlite3.Tsqlite3_io_methods](of.FpMethods), writer: parameter(tls, name, writerKey)}
	l.methods = libc.Xcalloc(tls, 1, libc.Tsize_t(unsafe.Sizeof(*l.inner)))
	l.room = libc.Xcalloc(tls, 1, mostHeld)
	if l.methods == 0 || l.room == 0 {
		l.free(tls)
		return rc // it is written frame by frame
	}
	l.frames.held = unsafe.Slice(at[byte](l.room), mostHeld)[:0]
	methods := at[sqlite3.Tsqlite3_io_methods](l.methods)
	*methods = *l.inner
	methods.FxClose, methods.FxRead, methods.FxWrite = function(closeLog), function(readLog), function(writeLog)
	logFiles.Lock()
	defer logFiles.Unlock()
	logFiles.open[l.methods] = l
	of.FpMethods = l.methods
	return rc
}

// parameter is what the name of a file, as SQLite opens it, says besides.
func parameter(tls *libc.TLS, name uintptr, key string) string {
	k, err := libc.CString(key)
	if err != nil {
		return ""
	}
	defer libc.Xfree(tls, k)
	return libc.GoString(sqlite3.Xsqlite3_uri_parameter(tls, name, k))
}

// forgetUndone drops what is held for a writer that has undone its transaction and does nothing else meanwhile. From
// now on another process may write to the same place of the log.
func forgetUndone(writer string) {
	logFiles.RLock()
	defer logFiles.RUnlock()
	for _, l := range logFiles.open {
		if l.writer == writer {
			l.frames.held = l.frames.held[:0]
		}
	}
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

// toFile writes to the file itself.
func (l *logFile) toFile(tls *libc.TLS, file uintptr) func(data []byte, offset int64) int32 {
	return func(data []byte, offset int64) int32 {
		from := unsafe.SliceData(data)
		return called[moveCall](l.inner.FxWrite)(tls, file, uintptr(unsafe.Pointer(from)), int32(len(data)), offset) //nolint:gosec // the size is SQLite's, or below mostHeld
	}
}

func writeLog(tls *libc.TLS, file, data uintptr, size int32, offset int64) int32 {
	l := logOf(file)
	return l.frames.write(unsafe.Slice(at[byte](data), size), offset, l.toFile(tls, file))
}

func readLog(tls *libc.TLS, file, data uintptr, size int32, offset int64) int32 {
	l := logOf(file)
	if rc := l.frames.read(int(size), offset, l.toFile(tls, file)); rc != sqlite3.SQLITE_OK {
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
	logFiles.Unlock()
	of.FpMethods = *(*uintptr)(unsafe.Pointer(&l.inner))
	l.free(tls)
	return called[endCall](l.inner.FxClose)(tls, file)
}
