// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/certlink/certlink/relay/report"
)

// writeWithin bounds the sending of one beat. The kernel gives up after 10 s
// (TCP_USER_TIMEOUT); this is for connections without a kernel. goodbyeWithin is
// that of the last one.
const (
	writeWithin   = 15 * time.Second
	goodbyeWithin = 300 * time.Millisecond
)

// hurryEvery is the shortest time between two changes of a peer's interval that
// take effect at once; others do with the next beat.
const hurryEvery = time.Second

// errFlood ends a connection that brings beats faster than agreed.
var errFlood = errors.New("more heartbeats than agreed")

// line is one heartbeat connection. The prober's lock guards what is not fixed.
type line struct {
	conn   net.Conn
	peer   *peer
	path   *path
	slot   int
	opened time.Time
	socket syscall.RawConn // nil where there is none
	again  chan struct{}   // the interval has changed
	stop   chan struct{}   // closed when the line is to end

	instance  string // of the peer's process, as it says
	seen      uint64 // the largest number of that process's beats that came over it
	seenAt    time.Time
	proven    bool   // a beat has arrived
	delivered uint32 // as the kernel said last
	allowance allowance
	ending    bool
	end       string // the goodbye
}

// open takes a new connection of a path. False means that the prober ends.
func (p *Prober) open(conn net.Conn, known *peer, pt *path, slot int) (*line, bool) {
	l := &line{
		conn: conn, peer: known, path: pt, slot: slot, opened: time.Now(), socket: socketOf(conn),
		again: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped || p.peers[known.cfg.TrustDomain] != known || !known.has(pt) {
		return nil, false
	}
	p.running.Add(1)
	if oldest := pt.crowd(); oldest != nil {
		oldest.finish("")
	}
	pt.opened(l)
	p.cfg.Log.Debug("heartbeat connection", "peer", known.cfg.Name, "address", pt.id.Address, "accepted", pt.id.Accepted, "kernel", l.socket != nil)
	return l, true
}

// finish ends a line: with a goodbye, or without a word. The caller holds the lock.
func (l *line) finish(goodbye string) {
	if l.ending {
		return
	}
	l.ending, l.end = true, goodbye
	close(l.stop)
	// An error means that the connection has ended already.
	_ = l.conn.SetWriteDeadline(time.Now().Add(goodbyeWithin))
}

// run exchanges beats until the connection ends, and says why it did; nil when it
// was meant to.
func (p *Prober) run(ctx context.Context, l *line) error {
	defer p.running.Done()
	var writing sync.WaitGroup
	writing.Go(func() {
		p.write(ctx, l)
		l.conn.Close()
	})
	err := p.read(l)
	p.mu.Lock()
	meant := l.ending || l.path.ended != ""
	l.finish("")
	delete(l.path.lines, l)
	p.mu.Unlock()
	l.conn.Close()
	writing.Wait()
	p.look()
	if meant || ctx.Err() != nil {
		return nil
	}
	return err
}

// write sends beats at the interval, each line of a path in its own third of it.
func (p *Prober) write(ctx context.Context, l *line) {
	buffer := make([]byte, 0, MaxBeat)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		goodbye := false
		select {
		case <-timer.C:
		case <-l.again:
		case <-l.stop:
			goodbye = true
		case <-ctx.Done():
			goodbye = true
		}
		beat, next, ok := p.compose(l, goodbye)
		if !ok {
			return
		}
		buffer = beat.append(buffer[:0])
		if beat.End == "" {
			_ = l.conn.SetWriteDeadline(time.Now().Add(writeWithin)) // its error is that of Write
		}
		if _, err := l.conn.Write(buffer); err != nil || beat.End != "" {
			return // the reader says why
		}
		timer.Reset(next)
	}
}

// compose makes the next beat of a line, and says when the one after it is due.
func (p *Prober) compose(l *line, goodbye bool) (Beat, time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	end := ""
	if goodbye || l.ending {
		if end = l.end; !l.ending {
			end = EndStopping
		}
		if end == "" {
			return Beat{}, 0, false
		}
	}
	now := time.Now()
	b := l.path.beatTo(l, now)
	b.SentAt, b.Instance, b.View, b.Offer, b.End = p.cfg.Clock(), p.instance+l.path.suffix, l.peer.view(), l.peer.offer, end
	every := l.path.every()
	phase := now.Sub(l.path.began) - every*time.Duration(l.slot%connections)/connections
	return b, every - (phase%every+every)%every, true
}

// read takes beats until the connection ends.
func (p *Prober) read(l *line) error {
	reader := bufio.NewReaderSize(l.conn, MaxBeat)
	for {
		text, err := reader.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("%w: more than %d bytes", errBeat, MaxBeat)
		}
		if err != nil {
			return fmt.Errorf("reading a heartbeat: %w", err)
		}
		beat, err := parse(text)
		if err != nil {
			return err
		}
		if err := p.arrived(l, beat); err != nil {
			return err
		}
	}
}

// arrived notes a beat.
func (p *Prober) arrived(l *line, b Beat) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, pt := time.Now(), l.path
	if !l.allowance.take(now, pt.every()) {
		return errFlood
	}
	before := pt.every()
	got := pt.take(l, b, now)
	l.peer.heardBeat(b)
	p.metrics.beat(l.peer, got)
	if got.sample > 0 {
		p.metrics.offset(l.peer, b.SentAt.Sub(p.cfg.Clock().Add(-pt.roundTrip/2)))
	}
	if !l.proven {
		l.proven = true
		pt.replace(l)
	}
	if pt.every() < before && now.Sub(pt.hurried) >= hurryEvery {
		pt.hurried = now
		pt.hurry()
	}
	if b.End != "" {
		p.goodbye(l, b.End)
	}
	if pt.state != report.Up || b.End != "" || l.peer.offerSeen != l.peer.offerTold {
		p.look()
	}
	return nil
}

// goodbye takes the last beat of a peer on a path.
func (p *Prober) goodbye(l *line, end string) {
	l.path.ended, l.path.endedAt = end, l.path.arrived.highest
	if end == EndRemoved && l.path.id.Accepted {
		l.peer.forget(l.path)
	}
}

// replace ends the lines that a new one, now proven, stands for. Which these are
// the side that dialled knows.
func (p *path) replace(by *line) {
	if p.id.Accepted {
		return
	}
	for l := range p.lines {
		if l != by && l.slot == by.slot && !l.opened.After(by.opened) {
			l.finish("")
		}
	}
}

// hurry lets all lines beat now, because the interval has become shorter.
func (p *path) hurry() {
	for l := range p.lines {
		select {
		case l.again <- struct{}{}:
		default:
		}
	}
}

// crowd returns the oldest line when there are as many as a path may have: each
// of the three may be in the course of being replaced.
func (p *path) crowd() (oldest *line) {
	open := 0
	for l := range p.lines {
		if l.ending {
			continue
		}
		open++
		if oldest == nil || l.opened.Before(oldest.opened) {
			oldest = l
		}
	}
	if open < 2*connections {
		return nil
	}
	return oldest
}

// slot finds the third of the interval that the fewest lines have.
func (p *path) slot() int {
	var used [connections]int
	for l := range p.lines {
		if !l.ending {
			used[l.slot%connections]++
		}
	}
	least := 0
	for i, n := range used {
		if n < used[least] {
			least = i
		}
	}
	return least
}
