// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel

import (
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

const (
	// many connections that were opened or put to rest have needed memory that is worth
	// giving back, at most so often: it costs some 20 ms. With so many open the heap is kept small.
	many      = 250
	freeEvery = 10 * time.Second
	// manyPercent is by how much the heap may grow before it is collected while so many
	// connections are open (GOGC). Bytes that pass leave nothing to collect, and what opens
	// connections leaves much, in between what those keep: the pages of a heap that grew
	// with it stay for a few objects each.
	manyPercent  = 30
	usualPercent = 100 // of package runtime
)

// giveBack returns to the operating system what many connections have needed to be opened, or
// before they rested, once it is calm. The runtime would keep it for the next ones for minutes.
func (e *Engine) giveBack(now time.Time, busy bool) {
	e.mu.Lock()
	opened := e.opened
	e.mu.Unlock()
	calm := !busy && opened == e.openedBefore
	e.openedBefore = opened
	if done := opened + e.rested; calm && done-e.doneFreed >= many && now.Sub(e.freed) >= freeEvery {
		e.doneFreed, e.freed = done, now
		runtime.GC() // the first takes the buffers out of their pools
		debug.FreeOSMemory()
		if err := unmapProgram(); err != nil {
			e.cfg.Log.Debug("the program's pages stay in memory", "error", err)
		}
	}
}

// restraints counts the engines of this process that want a small heap. Its lock guards
// Engine.restrained too.
var restraints struct {
	mu      sync.Mutex
	engines int
	before  int // the percentage without them
}

// restrain keeps the heap small while many connections are open, unless somebody has chosen
// how large it may be (GOGC).
func (e *Engine) restrain(on bool) {
	r := &restraints
	r.mu.Lock()
	defer r.mu.Unlock()
	if on == e.restrained {
		return
	}
	if e.restrained = on; on {
		if r.engines++; r.engines > 1 {
			return
		}
		if r.before = debug.SetGCPercent(manyPercent); r.before != usualPercent {
			debug.SetGCPercent(r.before)
		}
		return
	}
	if r.engines--; r.engines == 0 {
		debug.SetGCPercent(r.before)
	}
}
