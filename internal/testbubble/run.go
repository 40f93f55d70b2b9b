// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package testbubble

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
)

// Run runs a test in a bubble as synctest.Test does; under the race detector on one
// processor. Tests that run in parallel share it until the last of their bubbles ends.
func Run(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	if underRace {
		processors.one()
		defer processors.all()
	}
	synctest.Test(t, test)
}

var processors limit

// limit is how many processors the tests may use.
type limit struct {
	mu      sync.Mutex
	bubbles int
	// before is what GOMAXPROCS was without bubbles.
	before int
}

// one is called before a bubble begins, and all when it has ended.
func (l *limit) one() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bubbles++; l.bubbles == 1 {
		l.before = runtime.GOMAXPROCS(1)
	}
}

func (l *limit) all() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bubbles--; l.bubbles == 0 {
		runtime.GOMAXPROCS(l.before)
	}
}
