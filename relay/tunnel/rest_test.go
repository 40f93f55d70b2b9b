// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel_test

import (
	"bytes"
	"runtime"
	"testing"
)

// resting counts the directions that wait on a small stack.
func resting() int {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return bytes.Count(stacks, []byte("tunnel.(*Engine).restSend(")) + bytes.Count(stacks, []byte("tunnel.(*Engine).restDeliver("))
}

func TestAConnectionThatRestsGoesOn(t *testing.T) {
	w := newWorld(t, serveTCP(t, echo))
	ended, other := w.dial(t), w.dial(t)
	ping(t, ended)
	ping(t, other)
	for range 2 {
		eventually(t, "four directions on either side rest", func() bool { return resting() == 8 })
		ping(t, ended)
		ping(t, other)
	}
	eventually(t, "all rest again", func() bool { return resting() == 8 })
	exchange(t, ended, random(300_000))
	ping(t, other)
	_ = other.Close()
	eventually(t, "a connection that has rested is given back", w.alfa.link.idle)
}

func TestAConnectionThatRestsIsCut(t *testing.T) {
	w := newWorld(t, serveTCP(t, echo))
	c := w.dial(t)
	ping(t, c)
	eventually(t, "both directions on either side rest", func() bool { return resting() == 4 })
	w.alfa.link.cut()
	mustReset(t, c)
	eventually(t, "nothing is left of it", func() bool { return resting() == 0 })
}
