// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certlink/certlink/relay/store"
)

const (
	// largestLog is about how much is written before the log is carried into the
	// database: what changes several times is carried once. On a disk below 1 GiB it
	// is a thirty-second of it, but not below smallestLog.
	largestLog  = 32 << 20
	smallestLog = 8 << 20
	// fewWritten is about how much of the log at most is carried while writers wait.
	fewWritten = 1 << 20
	// reliefTimeout is how long writers wait for a reader where the disk has no room for a longer log, and
	// reliefShare what part of the time they do at most: the inverse of a tenth.
	reliefTimeout = time.Second
	reliefShare   = 10
	// usualWrite, messageWrite, receiptWrite, objectWrite and decisionWrite are roughly what a transaction and a
	// row write besides content: whole pages of the file.
	usualWrite    = 48 << 10
	messageWrite  = 1 << 10
	receiptWrite  = 512
	objectWrite   = 2 << 10
	decisionWrite = 512
)

// checkpoints carry the log into the database outside of the writer's turn: a
// message never waits for the pages that a feed has changed. A feed waits for its
// own, so that the log does not grow faster than it is carried.
type checkpoints struct {
	most    int64
	written atomic.Int64
	one     sync.Mutex
	// inVain is when a reader was last waited for in vain, whoever has one; zero for never.
	inVain  time.Time
	running sync.WaitGroup
}

func newCheckpoints(path string) *checkpoints {
	c := &checkpoints{most: largestLog}
	if _, size, err := room(filepath.Dir(path)); err == nil {
		c.most = int64(min(largestLog, max(smallestLog, size/32))) //nolint:gosec // it is at most largestLog
	}
	return c
}

// wrote counts what a transaction will have written.
func (c *checkpoints) wrote(bytes int64) { c.written.Add(bytes) }

// checkpoint is called after a commit, without the turn. A failure costs nothing but
// room: the log stays as it is, and the next one tries again.
func (s *Store) checkpoint(l lane) {
	if s.checkpoints.written.Load() < s.checkpoints.most {
		return
	}
	work := func() {
		if !s.checkpoints.one.TryLock() {
			return
		}
		defer s.checkpoints.one.Unlock()
		s.carryAll()
	}
	if l == feed {
		work()
		return
	}
	s.checkpoints.running.Go(work)
}

// carryAll carries all of the log, for who has s.checkpoints.one. While others write, something comes after what is
// carried, and SQLite begins the log anew only where nothing does: without an end it would grow for as long as they do, and whoever
// syncs a log that has grown waits twice as long. So what came meanwhile, a few transactions, is carried under the turn:
// writers wait for the sync of the log and of the database, once for so much written. Readers are not
// waited for: where one of them is in the way, the log goes on as it is, until the next time.
func (s *Store) carryAll() {
	all := s.carryLog("PASSIVE")
	if all && s.checkpoints.written.Load() > fewWritten {
		all = s.carryLog("PASSIVE")
	}
	if !all || s.checkpoints.written.Load() > fewWritten {
		return
	}
	leave, err := s.turns.take(context.Background(), hotline)
	if err != nil {
		return
	}
	defer leave()
	s.carryLog("PASSIVE")
}

// carryLog is for who has s.checkpoints.one. PASSIVE carries what no reader is in the way of, and waits for
// nobody; RESTART waits for readers, for busyTimeout at most, and writers for it. It tells whether all
// was carried that the log had when it began, and nobody was in the way; an error is told to nobody, as the next one tries again.
func (s *Store) carryLog(mode string) bool {
	s.checkpoints.written.Store(0)
	var busy, log, carried int64
	err := s.carry.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &log, &carried)
	return err == nil && busy == 0 && carried == log
}

// makeRoom is change for what lets go of something, or comes before that; f may run twice. Where the disk has no room for a longer
// log, what it holds is carried into the database, and it begins anew in the room that it has: a
// deletion needs no other, as what it writes has its place in the database.
func (s *Store) makeRoom(ctx context.Context, doing string, f func(tx *transaction) error) error {
	err := s.change(ctx, feed, doing, f)
	if !errors.Is(err, store.ErrFull) {
		return err
	}
	s.checkpoints.one.Lock()
	s.carryLog("RESTART")
	s.checkpoints.one.Unlock()
	return s.change(ctx, feed, doing, f)
}

// relieve carries the log into the database where the disk has no room for a longer one, so that it begins
// anew in the room that it has: whoever else has taken the last bytes, messages and receipts go on as long
// as the database has pages for them. Where it has none, carrying would itself take the last bytes, and stop
// half-way. The disk is looked at each time that about roomForLog was written, and at once after a
// change that found it full. A reader that still needs the log keeps it from beginning anew: it is waited
// for under the turn, for reliefTimeout at most, as what was written behind it would not find room. One that was
// waited for in vain may be long: the next wait is a tenth of the time since then, so that nobody else,
// such as who writes into pages that the log has already, loses more than a tenth of the time to it.
func (s *Store) relieve(full bool) {
	if !full && s.checkpoints.written.Load() < roomForLog {
		return
	}
	free, _, err := room(filepath.Dir(s.path))
	if err != nil || free >= roomForLog || s.growth() > int64(free) { //nolint:gosec // it is less than roomForLog
		return
	}
	if !s.checkpoints.one.TryLock() {
		return
	}
	defer s.checkpoints.one.Unlock()
	leave, err := s.turns.take(context.Background(), hotline)
	if err != nil {
		return
	}
	defer leave()
	most := reliefTimeout
	if last := s.checkpoints.inVain; !last.IsZero() {
		most = min(most, time.Since(last)/reliefShare)
	}
	if !s.carryLogWithin(most) {
		s.checkpoints.inVain = time.Now()
		s.checkpoints.wrote(roomForLog) // the next change tries again
	}
}

// carryLogWithin is RESTART that waits so long for readers, for who has s.checkpoints.one.
func (s *Store) carryLogWithin(most time.Duration) bool {
	wait := func(d time.Duration) error {
		_, err := s.carry.ExecContext(context.Background(), fmt.Sprintf("PRAGMA busy_timeout = %d", d.Milliseconds()))
		return err
	}
	if wait(most) != nil {
		return false
	}
	all := s.carryLog("RESTART")
	return wait(busyTimeout) == nil && all
}

// growth is by how much the file of the database gets longer when the log is carried into it, in bytes.
func (s *Store) growth() (bytes int64) {
	row := s.read.QueryRowContext(context.Background(), "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
	info, err := os.Stat(s.path)
	if err != nil || row.Scan(&bytes) != nil {
		return math.MaxInt64
	}
	return max(0, bytes-info.Size())
}

// paced is the number of objects at once while messages are exchanged, and
// pacedFor how long after the last of them.
const (
	paced    = 50
	pacedFor = 10 * time.Second
)

// Pace implements store.Pacer. Only messages and receipts count: a line also notes, by itself, that
// it was set up, swept or looked through, and none of this waits for anybody.
func (s *Store) Pace() int {
	if at := s.exchanged.Load(); at != nil && time.Since(*at) < pacedFor {
		return paced
	}
	return store.MaxRecords
}

// exchange counts what a message, or a receipt, will have written, and notes that there is one.
func (s *Store) exchange(bytes int64) {
	now := time.Now()
	s.exchanged.Store(&now)
	s.checkpoints.wrote(bytes)
}
