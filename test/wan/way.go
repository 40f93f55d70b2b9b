// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package wan

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/certlink/certlink/test/wan/pipe"
)

// Way is the way of packets from one address to another; the way back is another one.
type Way struct {
	From, To netip.Addr
}

func (w Way) String() string { return w.From.String() + " to " + w.To.String() }

// OneWay is all ways from any address of one host to those of another; without any named, to all of them.
func OneWay(from, to *Host, addresses ...netip.Addr) []Way {
	if len(addresses) == 0 {
		addresses = to.addresses
	}
	var ways []Way
	for _, a := range from.addresses {
		for _, b := range addresses {
			ways = append(ways, Way{a, b})
		}
	}
	return ways
}

// Back is the ways back.
func Back(ways []Way) []Way {
	back := make([]Way, 0, len(ways))
	for _, w := range ways {
		back = append(back, Way{w.To, w.From})
	}
	return back
}

// Between is OneWay and its way back: the whole path from one host to the addresses at which it finds the other.
func Between(from, to *Host, addresses ...netip.Addr) []Way {
	there := OneWay(from, to, addresses...)
	return slices.Concat(there, Back(there))
}

// Cut drops every packet on those ways, also what is under way, until Restore.
func (n *Network) Cut(ways ...Way) error {
	return n.change(ways, func(q *pipe.Quality) { q.Cut = true })
}

// Delay adds d, 0 to a minute, to every packet sent on those ways from now on.
func (n *Network) Delay(d time.Duration, ways ...Way) error {
	return n.change(ways, func(q *pipe.Quality) { q.Delay = d })
}

// Loss drops that share of the packets sent on those ways from now on, 0 to 100 percent.
func (n *Network) Loss(percent float64, ways ...Way) error {
	return n.change(ways, func(q *pipe.Quality) { q.Loss = percent })
}

// Restore makes those ways perfect: not cut, no delay, no loss. Without any named, it is all of them.
func (n *Network) Restore(ways ...Way) error {
	if len(ways) == 0 {
		n.mu.RLock()
		for w := range n.pipes {
			ways = append(ways, w)
		}
		n.mu.RUnlock()
	}
	return n.change(ways, func(q *pipe.Quality) { *q = pipe.Quality{} })
}

// Counts adds up what has happened on those ways.
func (n *Network) Counts(ways ...Way) (sum pipe.Counts) {
	for _, w := range ways {
		n.mu.RLock()
		p := n.pipes[w]
		n.mu.RUnlock()
		if p != nil {
			_, c := p.State()
			sum.Packets += c.Packets
			sum.Dropped += c.Dropped
		}
	}
	return sum
}

// change changes all of the ways or, if one is wrong, none.
func (n *Network) change(ways []Way, change func(*pipe.Quality)) error {
	n.changing.Lock()
	defer n.changing.Unlock()
	pipes, qualities := make([]*pipe.Pipe, len(ways)), make([]pipe.Quality, len(ways))
	for i, w := range ways {
		if n.owners[w.From] == nil || n.owners[w.To] == nil {
			return fmt.Errorf("changing the way from %s: both ends must be addresses of hosts", w)
		}
		if pipes[i] = n.pipe(w); pipes[i] == nil {
			return fmt.Errorf("changing the way from %s: %w", w, ErrClosed)
		}
		qualities[i], _ = pipes[i].State()
		change(&qualities[i])
		if err := qualities[i].Validate(); err != nil {
			return fmt.Errorf("changing the way from %s: %w", w, err)
		}
	}
	for i, p := range pipes {
		p.Set(qualities[i])
	}
	return nil
}
