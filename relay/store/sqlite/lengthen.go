// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
)

const (
	// lengthenAfter so many commits the log is made as long as it will get: a store that is
	// opened only to look at it writes nothing.
	lengthenAfter = 32
	// lengthenBy is written in one turn.
	lengthenBy = 1 << 20
	// spareRoom is how many such logs must have room on the disk.
	spareRoom = 8
)

// errLong ends the lengthening: the log is long enough, or the disk has no room for more.
var errLong = errors.New("the log is long enough")

// lengthener makes the log as long as it is before it is carried into the database, by writing zeros
// behind it once. Who syncs a file that has grown waits until the file system has written down where the new
// blocks are, behind whatever else is being written there: the pages that a checkpoint
// carries, for one. Who syncs blocks that were there before waits for these alone.
//
// Zeros are written under the turn and in a transaction, so that nobody else writes to the log:
//
//  1. zeros behind the last byte of the log: a crash leaves some of them. SQLite reads the log up to
//     the first frame whose checksum is wrong, which that of zeros is
//  2. the log is synced, like after any commit
type lengthener struct {
	once    sync.Once
	running sync.WaitGroup
	// closed is set by Close.
	closed atomic.Bool
}

// begin lengthens the log of a store in the background, once.
func (g *lengthener) begin(s *Store) {
	g.once.Do(func() {
		g.running.Go(func() {
			for !g.closed.Load() && s.change(context.Background(), feed, "lengthening the log", s.lengthen) == nil {
			}
		})
	})
}

// close waits for what is under way.
func (g *lengthener) close() {
	g.closed.Store(true)
	g.running.Wait()
}

// lengthen adds lengthenBy, or errLong. Any error ends it: the log grows then as it is written.
func (s *Store) lengthen(*transaction) error {
	info, err := s.log.Stat()
	if err != nil {
		return err
	}
	free, _, err := room(filepath.Dir(s.path))
	if err != nil {
		return err
	}
	most := s.checkpoints.most
	if info.Size()+lengthenBy > most || free < spareRoom*uint64(most) { //nolint:gosec // it is positive
		return errLong
	}
	_, err = s.log.WriteAt(make([]byte, lengthenBy), info.Size())
	return err
}
