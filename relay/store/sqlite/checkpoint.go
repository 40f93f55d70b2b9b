// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"errors"
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
		s.carryLog("PASSIVE")
	}
	if l == feed {
		work()
		return
	}
	s.checkpoints.running.Go(work)
}

// carryLog is for who has s.checkpoints.one. PASSIVE carries what no reader is in the way of, and waits for
// nobody; RESTART waits for readers, for busyTimeout at most, and writers for it.
func (s *Store) carryLog(mode string) {
	s.checkpoints.written.Store(0)
	_, _ = s.carry.ExecContext(context.Background(), "PRAGMA wal_checkpoint("+mode+")")
}

// makeRoom is change for what lets go of something, or comes before that; f may run twice. Where the disk has no room for a longer
// log, what it holds is carried into the database, and it begins anew in the room that it has: a
// deletion needs no other, as what it writes has its place in the database.
func (s *Store) makeRoom(ctx context.Context, doing string, f func(tx *sql.Tx) error) error {
	err := s.change(ctx, feed, doing, f)
	if !errors.Is(err, store.ErrFull) {
		return err
	}
	s.checkpoints.one.Lock()
	s.carryLog("RESTART")
	s.checkpoints.one.Unlock()
	return s.change(ctx, feed, doing, f)
}

// paced is the number of objects at once while messages are exchanged, and
// pacedFor how long after the last of them.
const (
	paced    = 250
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
