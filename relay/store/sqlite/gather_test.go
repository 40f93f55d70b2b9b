// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	sqlite3 "modernc.org/sqlite/lib"
)

const (
	testPage  = 512
	testFrame = frameHeader + testPage
)

// disk is what is written, as far as there is room for it.
type disk struct {
	data  []byte
	calls int
	room  int64
}

func (d *disk) write(data []byte, at int64) int32 {
	if d.room > 0 && at+int64(len(data)) > d.room {
		return sqlite3.SQLITE_FULL
	}
	d.calls++
	if end := int(at) + len(data); end > len(d.data) {
		d.data = append(d.data, make([]byte, end-len(d.data))...)
	}
	copy(d.data[at:], data)
	return sqlite3.SQLITE_OK
}

func newFrames() frames { return frames{held: make([]byte, 0, 40*testFrame)} }

// sqliteLog writes a log as SQLite does: through frames, and as it would be without them.
type sqliteLog struct {
	t      *testing.T
	random *rand.Rand
	frames frames
	got    disk
	want   disk
	// committed frames, and those of the transaction; rewritten is the first whose checksum is to be made anew, 0 if none is.
	committed, added, rewritten int
}

func (l *sqliteLog) place(frame int) int64 { return logHeader + int64(frame-1)*testFrame }

func (l *sqliteLog) content(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(l.random.Uint32())
	}
	return data
}

func (l *sqliteLog) write(data []byte, at int64) bool {
	rc := l.frames.write(data, at, l.got.write)
	if rc == sqlite3.SQLITE_OK {
		l.want.write(data, at)
	}
	return rc == sqlite3.SQLITE_OK
}

func (l *sqliteLog) read(size int, at int64) bool {
	if l.frames.read(size, at, l.got.write) != sqlite3.SQLITE_OK {
		return false
	}
	if got, want := l.got.data[at:at+int64(size)], l.want.data[at:at+int64(size)]; !bytes.Equal(got, want) {
		l.t.Fatalf("%d bytes at %d were read before they were written", size, at)
	}
	return true
}

func (l *sqliteLog) header(last bool) []byte {
	h := l.content(frameHeader)
	binary.BigEndian.PutUint32(h[commitMark:], 0)
	if last {
		h[commitMark+3] = 7
	}
	return h
}

func (l *sqliteLog) add(last bool) bool {
	l.added++
	at := l.place(l.committed + l.added)
	return l.write(l.header(last), at) && l.write(l.content(testPage), at+frameHeader)
}

// change does one thing of a transaction.
func (l *sqliteLog) change() bool {
	some := func() int { return l.committed + 1 + l.random.IntN(l.added) }
	switch n := l.random.IntN(10); {
	case n < 6 || l.added == 0:
		return l.add(false)
	case n == 6:
		l.added = l.random.IntN(l.added + 1) // back to a savepoint
		if l.rewritten > l.committed+l.added {
			l.rewritten = 0
		}
		return true
	case n == 7:
		frame := some()
		if l.rewritten == 0 || frame < l.rewritten {
			l.rewritten = frame
		}
		return l.write(l.content(testPage), l.place(frame)+frameHeader)
	default:
		return l.read(testPage, l.place(some())+frameHeader)
	}
}

// commit ends a transaction: a last frame, and the headers that are to be written anew.
func (l *sqliteLog) commit() bool {
	if !l.add(true) {
		return false
	}
	if l.rewritten == 0 {
		return true
	}
	before := int64(frameHeader)
	if l.rewritten > 1 {
		before = l.place(l.rewritten - 1)
	}
	if !l.read(8, before) {
		return false
	}
	for frame := l.rewritten; frame <= l.committed+l.added; frame++ {
		at := l.place(frame)
		if !l.read(testFrame, at) || !l.write(l.header(frame == l.committed+l.added), at) {
			return false
		}
	}
	return true
}

func (l *sqliteLog) transaction() {
	if l.committed == 0 && !l.write(l.content(logHeader), 0) {
		return
	}
	l.added, l.rewritten = 0, 0
	for range l.random.IntN(200) {
		if !l.change() {
			return
		}
	}
	if l.random.IntN(4) == 0 || !l.commit() {
		return // undone
	}
	l.committed += l.added
	end := l.place(l.committed + 1)
	if !bytes.Equal(l.got.data[:end], l.want.data[:end]) {
		l.t.Fatalf("after a commit of %d frames behind %d the log is another than without being held", l.added, l.committed-l.added)
	}
}

func TestACommittedLogIsTheSameWhetherItsFramesWereHeldOrNot(t *testing.T) {
	for _, room := range []int64{0, logHeader + 150*testFrame} {
		for seed := range uint64(200) {
			t.Run(fmt.Sprintf("with room for %d and seed %d", room, seed), func(t *testing.T) {
				l := &sqliteLog{t: t, random: rand.New(rand.NewPCG(seed, 1)), got: disk{room: room}, frames: newFrames()}
				for range 20 {
					l.transaction()
					if l.random.IntN(5) == 0 {
						l.committed = 0 // it was carried
					}
				}
			})
		}
	}
}

func TestTheFramesOfATransactionAreWrittenAtOnce(t *testing.T) {
	l := &sqliteLog{t: t, random: rand.New(rand.NewPCG(1, 2)), frames: newFrames()}
	if !l.write(l.content(logHeader), 0) {
		t.Fatal("the header was not written")
	}
	for range 3 {
		before := l.got.calls
		for range 20 {
			l.add(false)
		}
		if l.got.calls != before {
			t.Fatalf("%d calls before the last frame", l.got.calls-before)
		}
		l.commit()
		l.committed, l.added = l.committed+l.added, 0
		if l.got.calls != before+1 {
			t.Errorf("%d calls for a transaction", l.got.calls-before)
		}
	}
}

func TestATransactionLargerThanTheCacheIsWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	s := open(t, path)
	for _, statement := range []string{
		"PRAGMA cache_size = 10", "CREATE TABLE large (id INTEGER PRIMARY KEY, data BLOB) STRICT", "BEGIN IMMEDIATE",
		"WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO large SELECT i, randomblob(1000) FROM n",
		"SAVEPOINT half", "UPDATE large SET data = zeroblob(900) WHERE id % 3 = 0", "ROLLBACK TO half",
		"UPDATE large SET data = randomblob(1100) WHERE id % 7 = 0", "UPDATE large SET data = CAST(data || x'01' AS BLOB) WHERE id % 2 = 0", "COMMIT",
	} {
		if _, err := s.write.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	again := open(t, crashCopy(t, s))
	for name, db := range map[string]*Store{"the store": s, "what a crash left": again} {
		var integrity string
		var rows, longer, zero int
		if err := db.read.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&integrity); err != nil || integrity != "ok" {
			t.Errorf("%s: %s, %v", name, integrity, err)
		}
		err := db.read.QueryRowContext(t.Context(), `SELECT count(*), sum(length(data) IN (1001, 1101)), sum(data = zeroblob(length(data)))
			FROM large`).Scan(&rows, &longer, &zero)
		if err != nil || rows != 2000 || longer != 1000 || zero != 0 {
			t.Errorf("%s has %d rows, %d of them longer, %d of zeros, %v", name, rows, longer, zero, err)
		}
	}
}

func TestWhatWasUndoneIsNotWrittenOverWhatOthersStoredSince(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	s := open(t, path)
	others, err := sql.Open("sqlite", dsn(path, "immediate"))
	if err != nil {
		t.Fatal(err)
	}
	defer others.Close()
	const add = "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT INTO large (data) SELECT randomblob(1000) FROM n"
	for _, statement := range []string{"PRAGMA cache_size = 10", "CREATE TABLE large (id INTEGER PRIMARY KEY, data BLOB) STRICT"} {
		if _, err := s.write.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	stored := 0
	for n := range 20 {
		for _, step := range []struct {
			db        *sql.DB
			statement string
		}{
			{s.write, "BEGIN IMMEDIATE"},
			{s.write, fmt.Sprintf(add, 200+4*n)},
			{s.write, "ROLLBACK"},
			{others, fmt.Sprintf(add, 300)},
			{s.write, fmt.Sprintf(add, 1)},
		} {
			if _, err := step.db.ExecContext(t.Context(), step.statement); err != nil {
				t.Fatalf("%s: %v", step.statement, err)
			}
		}
		stored += 301
	}
	again := open(t, crashCopy(t, s))
	for name, db := range map[string]*Store{"the store": s, "what a crash left": again} {
		var integrity string
		var rows int
		if err := db.read.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&integrity); err != nil || integrity != "ok" {
			t.Errorf("%s: %s, %v", name, integrity, err)
		}
		if err := db.read.QueryRowContext(t.Context(), "SELECT count(*) FROM large").Scan(&rows); err != nil || rows != stored {
			t.Errorf("%s has %d rows of %d, %v", name, rows, stored, err)
		}
	}
}
