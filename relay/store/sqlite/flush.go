// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// ErrUnflushed: the log could not be brought to stable storage. What the kernel then has in
// memory is not what is on the disk, and it says so only once; so the store makes and shows
// nothing from then on. Open the database again, after a look at the disk.
var ErrUnflushed = errors.New("the database's log could not be synced; look at the disk and start again")

// flusher brings commits to stable storage: one fdatasync of the log for all that were
// written before it began.
//
// With synchronous=NORMAL SQLite writes the frames of a transaction to the log at its commit, and syncs
// the log by itself only before it carries it into the database and when it begins it anew (its
// documentation, "WAL mode", "Performance Considerations"). So a commit is
//
//  1. written, under the turn: kill -9 leaves all of it, a power loss nothing, or all that was
//     committed up to here or later; never a part of it, and nothing without what came before
//  2. synced, without the turn, while the next one is written: a power loss leaves all
//
// and only after the second the call returns. The sync is made through a descriptor of our
// own; it is that of the file.
type flusher struct {
	sync func() error
	// broken is closed when a sync failed.
	broken chan struct{}

	mu    sync.Mutex // guards what follows
	ended *sync.Cond // a commit or a sync ended
	// begun counts the commits that began, one at a time; so many have ended; and so many are
	// on stable storage.
	begun, committed, flushed uint64
	running                   bool
	failed                    error
}

func newFlusher(syncLog func() error) *flusher {
	f := &flusher{sync: syncLog, broken: make(chan struct{})}
	f.ended = sync.NewCond(&f.mu)
	return f
}

// begin is called under the turn before a commit, and end after it.
func (f *flusher) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun++
}

// end returns the number of the commit. One that was not made needs no sync.
func (f *flusher) end(made bool) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.committed = f.begun
	if !made && f.flushed == f.committed-1 && !f.running {
		f.flushed = f.committed
	}
	f.ended.Broadcast()
	return f.committed
}

// visible is the number of the last commit that a reader may have seen.
func (f *flusher) visible() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.begun
}

// wait returns when so many commits are on stable storage. Errors wrap ErrUnflushed.
func (f *flusher) wait(commits uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.failed == nil && f.flushed < commits {
		if f.running || f.committed == f.flushed {
			f.ended.Wait()
			continue
		}
		f.run()
	}
	return f.failed
}

// run makes one sync. The caller holds f.mu, which is free meanwhile.
func (f *flusher) run() {
	f.running = true
	commits := f.committed
	f.mu.Unlock()
	err := f.sync()
	f.mu.Lock()
	if f.running = false; err != nil {
		f.failed = fmt.Errorf("%w: %w", ErrUnflushed, err)
		close(f.broken)
	} else {
		f.flushed = commits
	}
	f.ended.Broadcast()
}

// state is why the store does nothing any more, nil if it does.
func (f *flusher) state() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

// syncOf syncs the content of a file and what is needed to find it. The descriptor stays that
// of the file meanwhile, also when it is being closed.
func syncOf(file *os.File) func() error {
	return func() error {
		c, err := file.SyscallConn()
		if err != nil {
			return err
		}
		for {
			if inner := c.Control(func(fd uintptr) { err = datasync(fd) }); inner != nil {
				return inner
			}
			if !errors.Is(err, unix.EINTR) {
				return err
			}
		}
	}
}
