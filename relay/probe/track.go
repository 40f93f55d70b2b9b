// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"time"

	"github.com/certlink/certlink/relay/report"
)

// sight is what can be said of one direction of a path at a moment.
type sight struct {
	// broken: there is no connection and the last try to have one failed, or the
	// other side said goodbye.
	broken bool
	// blind: nothing arrives that could say anything of this direction.
	blind bool
	// proven: something was proven of this direction, and silence is the time since,
	// less what our own lateness explains.
	proven  bool
	silence time.Duration
	// spared: what took the direction down is no fault of the path, because the
	// other side's process ended.
	spared bool
}

// track is the state of one direction of a path. It is a value: next returns the
// one that follows.
type track struct {
	state   report.State
	since   time.Time // when state was entered
	calm    time.Time // since when it beats without a break, while Recovering
	back    time.Time // when it was last Down
	flaps   int       // that still count
	counted bool      // the present outage is among them
	spared  bool      // the present outage needs no damping
}

// next judges one direction.
func (t track) next(s sight, l limits, now time.Time) track {
	if t.state == "" {
		t.state, t.since = report.Unknown, now
	}
	if s.spared {
		t = t.spare()
	}
	switch {
	case s.broken:
		return t.down(now)
	case s.blind && t.state != report.Down:
		return t.enter(report.Unknown, now)
	case s.blind || !s.proven:
		return t
	case s.silence >= l.down:
		return t.down(now)
	case s.silence >= l.suspect:
		return t.quiet(now)
	default:
		return t.alive(now)
	}
}

// spare forgives the present outage, or the one that is about to begin.
func (t track) spare() track {
	t.spared = true
	if t.counted {
		t.flaps, t.counted = t.flaps-1, false
	}
	return t
}

// down enters Down, and counts the flap of a path that was there.
func (t track) down(now time.Time) track {
	t.back = now
	there := t.state == report.Up || t.state == report.Suspect || t.state == report.Recovering
	if there && !t.spared {
		t.flaps, t.counted = t.flaps+1, true
	}
	return t.enter(report.Down, now)
}

// quiet is what silence below the limit does.
func (t track) quiet(now time.Time) track {
	switch t.state {
	case report.Up:
		return t.enter(report.Suspect, now)
	case report.Recovering:
		t.calm = now // begin anew
	}
	return t
}

// alive is what proof of life does.
func (t track) alive(now time.Time) track {
	hold := holdOf(t.flaps)
	if t.spared {
		hold = 0
	}
	switch {
	case t.state == report.Down && hold > 0:
		t.calm = now
		return t.enter(report.Recovering, now)
	case t.state == report.Recovering && now.Sub(t.calm) < hold:
		return t
	case t.state == report.Up && now.Sub(t.back) >= calmAgain:
		t.flaps = 0
	}
	t.counted, t.spared = false, false
	return t.enter(report.Up, now)
}

func (t track) enter(s report.State, now time.Time) track {
	if t.state != s {
		t.state, t.since = s, now
	}
	return t
}

// badness orders states from the best to the worst.
func badness(s report.State) int {
	switch s {
	case report.Up:
		return 0
	case report.Suspect:
		return 1
	case report.Recovering:
		return 2
	case report.Down:
		return 4
	default:
		return 3
	}
}

// worse is the state of a path by those of its directions.
func worse(a, b report.State) report.State {
	if badness(a) >= badness(b) {
		return a
	}
	return b
}

// usable tells whether requests go over a path of this state first.
func usable(s report.State) bool { return badness(s) <= badness(report.Recovering) }
