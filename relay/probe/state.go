// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

// minTimeout is the least time that one probe may take: over a long way with
// losses, TCP needs two seconds to be sure.
const minTimeout = 2 * time.Second

// interval is the time between two probes.
func interval(d config.Detection) time.Duration {
	return time.Duration(d.IntervalMilliseconds) * time.Millisecond
}

// timeout is how long one probe may take.
func timeout(d config.Detection) time.Duration { return max(interval(d), minTimeout) }

// budget is how long it takes at most to notice a cut.
func budget(d config.Detection) time.Duration {
	return interval(d)*time.Duration(d.Misses+1) + timeout(d)
}

// clamp brings a budget that a peer announces into the bounds of our own.
func clamp(d config.Detection) config.Detection {
	return config.Detection{
		IntervalMilliseconds: min(max(d.IntervalMilliseconds, 200), 60_000),
		Misses:               min(max(d.Misses, 1), 20),
	}
}

// fault is why something is Down.
type fault struct {
	cause   report.Cause
	message string
}

// track is the state of one path. Its methods return the next state.
type track struct {
	state     report.State
	fault     fault // of the last miss
	missed    int32 // in a row
	roundTrip time.Duration
}

// answered is the track after an answer.
func (t track) answered(roundTrip time.Duration) track {
	smooth := roundTrip
	if t.state == report.Up {
		smooth = (7*t.roundTrip + roundTrip) / 8 // as TCP does (RFC 6298)
	}
	return track{state: report.Up, roundTrip: smooth}
}

// lost is the track after a probe that brought no answer.
func (t track) lost(f fault, misses int32) track {
	t.fault = f
	t.missed = min(t.missed+1, misses)
	if t.missed >= misses {
		t.state, t.roundTrip = report.Down, 0
	}
	return t
}

// outbound sums up the paths, in the order of their configuration: Up if one is,
// Unknown if one may be.
func outbound(tracks []track) (report.State, fault) {
	var worst fault
	state := report.Down
	for _, t := range tracks {
		switch {
		case t.state == report.Up:
			return report.Up, fault{}
		case t.state != report.Down:
			state = report.Unknown
		case worst.cause == report.CauseNone || worst.cause == report.CauseUnreachable && t.fault.cause != report.CauseUnreachable:
			worst = t.fault
		}
	}
	if state == report.Unknown {
		return state, fault{}
	}
	return state, worst
}

// inbound is what arrives from a peer.
type inbound struct {
	since  time.Time        // when we began to listen
	last   time.Time        // when a probe arrived last, zero before the first
	budget config.Detection // as the peer announced last
	seen   uint64           // the largest Seq
	view   View             // the peer's own
}

// state is that of the inbound direction at a time; before the first probe our
// own budget counts.
func (in inbound) state(now time.Time, ours config.Detection) report.State {
	switch {
	case !in.last.IsZero() && now.Sub(in.last) <= budget(in.budget):
		return report.Up
	case in.last.IsZero() && now.Sub(in.since) <= budget(ours):
		return report.Unknown
	default:
		return report.Down
	}
}
