// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package pipe is one direction of a network path in user space: packets that go in come out later, or never.
//
// Exactly:
//   - Packets never overtake each other and are never changed or doubled.
//   - A cut drops at once whatever is under way, and all that is sent until it ends, without a word to anybody. What is
//     sent after a cut has ended arrives; nothing from before does.
//   - A delay counts from the moment of sending. A changed one holds for packets sent later; one that was shortened lets
//     nothing arrive before what was sent earlier.
//   - A loss is thrown for each packet when it is sent; packets under way are safe from it.
//   - QueueLimit bounds what is under way; a packet beyond it is dropped.
//
// Time is the machine's: on a busy one packets come later than asked, never earlier.
package pipe

import (
	"fmt"
	"sync"
	"time"
)

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

// QueueLimit is how many packets may be under way in one direction; later ones are dropped, as by a full router.
// At 1500 bytes it is 24 MB, 300 ms of 640 Mbit/s.
const QueueLimit = 16384

// Counts is what has happened in one direction since it was made.
type Counts struct {
	Packets uint64 `json:"packets"`
	Dropped uint64 `json:"dropped"`
}

type packet struct {
	due  time.Time
	data []byte
}

// Pipe is one direction with its packets under way. Its methods may be called from several goroutines.
type Pipe struct {
	deliver func([]byte)
	throws  func() func() float64
	wake    chan struct{}

	mu      sync.Mutex
	quality Quality
	throw   func() float64
	counts  Counts
	queue   []packet
	// busy while Run delivers the head of the queue: a packet that needs no delay must not overtake it.
	busy bool
}

// New returns a perfect pipe. deliver gets each packet that arrives, one at a time or from the senders' goroutines, and
// must not keep it. throws begins a new series of numbers from [0, 100), of which each packet sent while there is a loss
// takes one; it is called whenever Set changes the loss.
func New(deliver func([]byte), throws func() func() float64) *Pipe {
	return &Pipe{deliver: deliver, throws: throws, wake: make(chan struct{}, 1)}
}

// Set changes the quality from now on.
func (p *Pipe) Set(q Quality) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if q.Loss != p.quality.Loss {
		p.throw = p.throws()
	}
	if q.Cut {
		p.counts.Dropped += uint64(len(p.queue))
		p.queue = nil
	}
	p.quality = q
}

// State returns the quality and the counts as they are now.
func (p *Pipe) State() (Quality, Counts) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.quality, p.counts
}

// Send takes one packet, which the caller may reuse afterwards.
func (p *Pipe) Send(now time.Time, data []byte) {
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
func (p *Pipe) admit(now time.Time, data []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.Packets++
	if p.quality.Cut || p.quality.Loss > 0 && p.throw() < p.quality.Loss || len(p.queue) >= QueueLimit {
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
func (p *Pipe) next(now time.Time) (data []byte, wait time.Duration, forever bool) {
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
	return head.data, 0, false
}

// Run delivers delayed packets until done is closed.
func (p *Pipe) Run(done <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		data, wait, forever := p.next(time.Now())
		if data != nil {
			p.deliver(data)
			continue
		}
		if forever {
			wait = time.Hour
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
