// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/certlink/certlink/test/wan"
)

// The canary: a datagram from each host to the next one, over ways without delay and loss. When none arrives for
// stalled, this machine has not carried any packet for so long, of relays neither: then a path was cut indeed.
const (
	canaryEvery = 10 * time.Millisecond
	stalled     = 300 * time.Millisecond
	// aftermath is how long a stall explains that a path is said to be down.
	aftermath = 2 * time.Second
	// canaryPath is the address that the canary has for itself.
	canaryPath = 1
	canaryPort = 9
)

// stall is a time in which a host got nothing.
type stall struct{ from, to time.Time }

// canary notes stalls.
type canary struct {
	mu     sync.Mutex // guards what follows
	last   []time.Time
	stalls []stall
}

// sing starts the canary. It ends with the context.
func (w *world) sing(ctx context.Context) (*canary, error) {
	c := &canary{last: make([]time.Time, len(w.nations))}
	for i, n := range w.nations {
		from, to := w.net.Host(n.Name), w.net.Host(w.nations[(i+1)%len(w.nations)].Name)
		way := wan.Way{From: from.Address(canaryPath), To: to.Address(canaryPath)}
		if err := w.net.Restore(way); err != nil {
			return nil, err
		}
		address := func(h *wan.Host) string { return fmt.Sprintf("%s:%d", h.Address(canaryPath), canaryPort) }
		out, err := from.ListenPacket(ctx, "udp", fmt.Sprintf("%s:0", from.Address(canaryPath)))
		if err != nil {
			return nil, err
		}
		in, err := to.ListenPacket(ctx, "udp", address(to))
		if err != nil {
			return nil, err
		}
		target, err := net.ResolveUDPAddr("udp", address(to))
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { out.Close(); in.Close() })
		go c.send(ctx, out, target)
		go c.listen(in, i)
	}
	return c, nil
}

func (c *canary) send(ctx context.Context, conn net.PacketConn, to net.Addr) {
	for ctx.Err() == nil {
		_, _ = conn.WriteTo([]byte{0}, to) // one that fails is one that does not arrive
		pause(ctx, canaryEvery)
	}
}

func (c *canary) listen(conn net.PacketConn, host int) {
	buffer := make([]byte, 1)
	for {
		if _, _, err := conn.ReadFrom(buffer); err != nil {
			return
		}
		now := time.Now()
		c.mu.Lock()
		if last := c.last[host]; !last.IsZero() && now.Sub(last) >= stalled {
			c.stalls = append(c.stalls, stall{last, now})
		}
		c.last[host] = now
		c.mu.Unlock()
	}
}

// explains tells whether the machine itself had a part in what was noticed at a time.
func (c *canary) explains(at time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.stalls {
		if at.After(s.from) && at.Before(s.to.Add(aftermath)) {
			return true
		}
	}
	return false
}

// sum returns how many stalls there were since a time, the longest of them, and for how long, all in all, an alarm
// would have been explained.
func (c *canary) sum(since time.Time) (n int, longest, explained time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	end := since
	for _, s := range c.stalls { // by their end
		if s.to.Before(since) {
			continue
		}
		n++
		longest = max(longest, s.to.Sub(s.from))
		from := s.from
		if from.Before(end) {
			from = end
		}
		end = s.to.Add(aftermath)
		explained += end.Sub(from)
	}
	return n, longest, explained
}
