// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
)

// fault is why something is Down.
type fault struct {
	cause   report.Cause
	message string
}

// path is what we know of one path. The prober's lock guards it. Its times are
// monotonic.
type path struct {
	id    link.Path
	ours  config.Detection // budget, as configured
	began time.Time
	// suffix tells our beats from those of an earlier path of this name, which counted
	// up from 1, too: a peer that we revoked and took back has not forgotten them.
	suffix string

	lines   map[*line]struct{} // open heartbeat connections
	fault   fault              // of the last try to open one, none after it succeeded
	ended   string             // the peer's goodbye, until it beats again
	endedAt uint64             // its seq
	renew   chan struct{}      // closed when silence asks for new connections

	// what we sent
	seq  uint64
	sent [windowSize]time.Time // by seq

	// what we heard
	instance string
	arrived  window
	arrival  time.Time // of arrived.highest
	heard    time.Time // last byte
	segment  time.Time // last segment that the kernel took
	acked    time.Time // last acknowledgement that the kernel took
	felt     time.Time // when the kernel was asked
	mark     time.Time // what the link said of its last byte, by a clock that may jump
	looked   time.Time // when
	theirs   config.Detection
	hurried  time.Time // when its interval last took effect at once

	shares shares // among the replicas of the peer

	// what the peer says it heard
	echoed  uint64        // the largest seq of ours that it has seen
	unheard time.Duration // the silence that it told last
	told    time.Time     // when

	late *lateness // of our own process

	roundTrip time.Duration // smoothed
	known     time.Duration // as others know it: moves only by much

	in, out track
	restart bool // the peer's process is another one: for the next judgement
	state   report.State
	shown   report.State
	since   time.Time // when shown was entered, by the wall clock

	setState report.State // as the link was told last
	setTrip  time.Duration
	cancel   func() // ends the dialling; nil while there is none
}

// begun counts the paths of this process.
var begun atomic.Uint64

func newPath(id link.Path, ours config.Detection, late *lateness, now time.Time) *path {
	return &path{
		id: id, ours: ours, late: late, began: now, heard: now, state: report.Unknown, shown: report.Unknown,
		lines: map[*line]struct{}{}, renew: make(chan struct{}), suffix: "." + strconv.FormatUint(begun.Add(1), 36),
	}
}

// every is the interval that both sides beat at.
func (p *path) every() time.Duration {
	every := interval(p.ours)
	if p.theirs != (config.Detection{}) {
		every = min(every, interval(p.theirs))
	}
	return every
}

func (p *path) limits() limits { return limitsOf(p.ours, p.roundTrip) }

// beat makes the next beat, but for what the peer knows of the link as a whole.
func (p *path) beat(now time.Time) Beat {
	p.seq++
	p.sent[p.seq%windowSize] = now
	b := Beat{
		Seq: p.seq, Seen: p.arrived.highest, SilentMicroseconds: p.silence(now).Microseconds(),
		IntervalMilliseconds: p.ours.IntervalMilliseconds, Misses: p.ours.Misses,
	}
	if p.arrived.highest > 0 {
		b.HeldMicroseconds = now.Sub(p.arrival).Microseconds()
	}
	return b
}

// beatTo makes the next beat of a connection. Where it leads to another replica of the
// peer's relay than the one that counts here, it answers that one's own beats: those of
// another it has never sent, so it would not believe the beat, and not know for ever
// whether it is heard.
func (p *path) beatTo(l *line, now time.Time) Beat {
	b := p.beat(now)
	b.After = p.shares.leaves(l, b.Seq, p.lines)
	if l.instance == "" || l.instance == p.instance {
		return b
	}
	newest := l
	for other := range p.lines {
		if other.instance == l.instance && other.seen > newest.seen {
			newest = other
		}
	}
	held := now.Sub(newest.seenAt)
	b.Seen, b.HeldMicroseconds = newest.seen, held.Microseconds()
	if held >= p.every() {
		held -= p.late.since(newest.seenAt)
	}
	b.SilentMicroseconds = held.Microseconds()
	return b
}

// heardBeat is what a beat brought.
type heardBeat struct {
	sample time.Duration // of the round trip, zero for none
	lost   int
}

// take notes a beat that arrived over one of the path's connections.
func (p *path) take(from *line, b Beat, now time.Time) (got heardBeat) {
	p.heard = now
	if b.Instance != p.instance || b.Seq > p.endedAt {
		p.ended = "" // what another connection held up does not count
	}
	p.theirs = config.Detection{IntervalMilliseconds: b.IntervalMilliseconds, Misses: b.Misses}
	if b.Instance != from.instance || b.Seq > from.seen {
		from.instance, from.seen, from.seenAt = b.Instance, b.Seq, now
	}
	if b.Instance != p.instance {
		if p.carries(p.instance) && now.Sub(p.arrival) < p.limits().down {
			return got // another replica of the peer's relay: it lives, but counts for itself
		}
		p.restart = p.instance != ""
		p.instance, p.arrived, p.echoed = b.Instance, window{}, 0
	}
	newest, lost := p.arrived.note(b.Seq, b.After)
	got.lost = lost
	if !newest {
		return got // TCP held it up; what it says is out of date
	}
	p.arrival = now
	if b.Seen > p.seq {
		return got // never sent: nothing that it says of us can be believed
	}
	p.unheard, p.told = microseconds(b.SilentMicroseconds), now
	if b.Seen > p.echoed {
		p.echoed = b.Seen
		got.sample = p.measure(b, now)
	}
	return got
}

// carries tells whether a connection to a process is open.
func (p *path) carries(instance string) bool {
	for l := range p.lines {
		if l.instance == instance {
			return true
		}
	}
	return false
}

// measure takes a round trip from the newest echo: of the three connections, the
// fastest counts each way.
func (p *path) measure(b Beat, now time.Time) time.Duration {
	if p.seq-b.Seen >= windowSize {
		return 0
	}
	sample := now.Sub(p.sent[b.Seen%windowSize]) - microseconds(b.HeldMicroseconds)
	if sample <= 0 || sample > time.Minute {
		return 0
	}
	if p.roundTrip == 0 {
		p.roundTrip = sample
	} else {
		p.roundTrip = (7*p.roundTrip + sample) / 8 // as TCP does (RFC 6298)
	}
	if off := (p.roundTrip - p.known).Abs(); p.known == 0 || off > max(p.known/5, 5*time.Millisecond) {
		p.known = p.roundTrip
	}
	return sample
}

// judge brings both directions up to date. A direction that fell silent because
// the other one did (TCP carries nothing without acknowledgements) is Unknown.
func (p *path) judge(now time.Time) {
	l := p.limits()
	silence := p.silence(now)
	silent := silence >= l.down
	in := sight{
		broken: p.ended != "" || p.fault.cause != report.CauseNone && (silent || len(p.lines) == 0),
		blind:  silent && p.out.state == report.Down,
		proven: p.arrived.highest > 0, silence: silence,
		spared: p.ended != "" || p.restart,
	}
	out := in
	out.proven, out.silence = p.echoed > 0, max(p.unheardNow(), p.stuck(now, l))
	p.restart = false
	p.in = p.in.next(in, l, now)
	out.blind = p.in.state == report.Down
	p.out = p.out.next(out, l, now)
	if next := worse(p.in.state, p.out.state); next != p.state {
		p.state = next
		if next == report.Down {
			close(p.renew)
			p.renew = make(chan struct{})
		}
	}
}

// shows is the state of a path or a direction for people: a hiccup is none of
// their business.
func shows(s report.State, since, now time.Time) report.State {
	if s == report.Suspect && now.Sub(since) < hiccup {
		return report.Up
	}
	return s
}

// hiccup is how long Suspect lasts before it is shown.
const hiccup = time.Second

// opened takes a new connection.
func (p *path) opened(l *line) {
	p.lines[l] = struct{}{}
	p.fault = fault{}
}
