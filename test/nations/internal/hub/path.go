// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hub

import (
	"fmt"
	"sync"
	"time"
)

// Direction is the way of packets from one nation to another; the way back is another direction.
type Direction struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Quality is how packets fare in one direction. The zero value is a perfect path.
type Quality struct {
	// Cut drops every packet without a word, as a cable that was pulled.
	Cut bool `json:"cut"`
	// Delay is added to every packet. Packets stay in order.
	Delay time.Duration `json:"delay_ns"`
	// Loss is the share of packets that vanish, 0 to 100 percent, each by its own throw.
	Loss float64 `json:"loss_percent"`
}

// Validate checks the limits.
func (q Quality) Validate() error {
	if q.Delay < 0 || q.Delay > time.Minute {
		return fmt.Errorf("delay %s: it must be from 0 to 1m", q.Delay)
	}
	if q.Loss < 0 || q.Loss > 100 {
		return fmt.Errorf("loss of %g percent: it must be from 0 to 100", q.Loss)
	}
	return nil
}

// drops decides the fate of one packet; throw is from [0, 100).
func (q Quality) drops(throw float64) bool { return q.Cut || throw < q.Loss }

// queueLimit is how many packets may be under way in one direction; later ones are dropped, as by a full router.
// At 1500 bytes it is 24 MB, 300 ms of 640 Mbit/s.
const queueLimit = 16384

// Counts is what has happened in one direction since the hub started.
type Counts struct {
	Packets uint64 `json:"packets"`
	Dropped uint64 `json:"dropped"`
}

type packet struct {
	due  time.Time
	data []byte
}

// path is one direction with its packets under way.
type path struct {
	deliver func([]byte)
	throw   func() float64
	wake    chan struct{}

	mu      sync.Mutex
	quality Quality
	counts  Counts
	queue   []packet
	// busy while run delivers the head of the queue: a packet that needs no delay must not overtake it.
	busy bool
}

func newPath(deliver func([]byte), throw func() float64) *path {
	return &path{deliver: deliver, throw: throw, wake: make(chan struct{}, 1)}
}

func (p *path) set(q Quality) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.quality = q
}

func (p *path) state() (Quality, Counts) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.quality, p.counts
}

// send takes one packet, which the caller may reuse afterwards.
func (p *path) send(now time.Time, data []byte) {
	if p.admit(now, data) {
		p.deliver(data)
		return
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// admit tells whether the packet is to be delivered at once; if not, it was queued or dropped.
func (p *path) admit(now time.Time, data []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.Packets++
	if p.quality.drops(p.throw()) || len(p.queue) >= queueLimit {
		p.counts.Dropped++
		return false
	}
	if p.quality.Delay == 0 && len(p.queue) == 0 && !p.busy {
		return true
	}
	due := now.Add(p.quality.Delay)
	// A delay that was shortened must not make packets overtake each other.
	if last := len(p.queue) - 1; last >= 0 && due.Before(p.queue[last].due) {
		due = p.queue[last].due
	}
	p.queue = append(p.queue, packet{due: due, data: append([]byte(nil), data...)})
	return false
}

// next returns the packet that is due, or how long to wait for one; forever means none is under way.
func (p *path) next(now time.Time) (data []byte, wait time.Duration, forever bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy = false
	if len(p.queue) == 0 {
		p.queue = nil
		return nil, 0, true
	}
	head := p.queue[0]
	if wait := head.due.Sub(now); wait > 0 {
		return nil, wait, false
	}
	p.queue[0] = packet{}
	p.queue = p.queue[1:]
	p.busy = true
	if p.quality.Cut {
		p.counts.Dropped++
		return nil, 0, false
	}
	return head.data, 0, false
}

// run delivers delayed packets until done is closed.
func (p *path) run(done <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		data, wait, forever := p.next(time.Now())
		switch {
		case data != nil:
			p.deliver(data)
			continue
		case forever:
			wait = time.Hour
		case wait == 0:
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-p.wake:
		case <-done:
			return
		}
	}
}
