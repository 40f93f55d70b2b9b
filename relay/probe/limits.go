// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"time"

	"github.com/certlink/certlink/relay/config"
)

// connections is the number of heartbeat connections on a path. What TCP has lost
// on one holds up that one alone.
const connections = 3

// clamp brings a budget that a peer announces into the bounds of our own.
func clamp(d config.Detection) config.Detection {
	return config.Detection{
		IntervalMilliseconds: min(max(d.IntervalMilliseconds, 50), 60_000),
		Misses:               min(max(d.Misses, 2), 100),
	}
}

// interval is the time between two beats on one connection.
func interval(d config.Detection) time.Duration {
	return time.Duration(d.IntervalMilliseconds) * time.Millisecond
}

// limits say how much silence means what, for one path.
type limits struct {
	suspect, down time.Duration
}

// limitsOf computes the limits from our budget and the round trip. TCP repairs a
// loss in about 1.3 round trips and one interval, on that connection; that it has
// to do so on all three at once, each of them losing again what it repeats, is
// what two round trips and an interval leave room for.
func limitsOf(d config.Detection, roundTrip time.Duration) limits {
	every := interval(d)
	down := max(time.Duration(d.Misses)*every, 2*roundTrip+every)
	return limits{suspect: min(roundTrip+2*every, down*3/4), down: down}
}

// worst is the longest time from a cut to Down: the last byte may have been under
// way when the cut came, or the news of it has to come back from the other side;
// after it the next beat was due, and the judge looks in steps. It is rounded up to
// 50 ms, so that it does not move with jitter.
func (l limits) worst(roundTrip, every time.Duration) time.Duration {
	const grain = 50 * time.Millisecond
	worst := l.down + roundTrip/2 + every/connections + tickOf(every)
	return (worst + grain - 1).Truncate(grain)
}

// tickOf is how often silence is judged.
func tickOf(every time.Duration) time.Duration {
	return min(max(every/10, 5*time.Millisecond), 100*time.Millisecond)
}

// Flap damping: how long beats must be back before a path is Up again, and after
// which time without a flap the next one counts as the first.
const (
	firstHold = 5 * time.Second
	lastHold  = time.Minute
	calmAgain = 10 * time.Minute
)

// holdOf is the damping after a number of flaps.
func holdOf(flaps int) time.Duration {
	if flaps == 0 {
		return 0
	}
	return min(firstHold<<min(flaps-1, 8), lastHold)
}

// allowance bounds how many beats a connection may bring: four times the agreed
// rate in the long run, and at once what TCP may have held back for 15 s.
type allowance struct {
	tokens float64
	at     time.Time
}

const (
	allowedRate  = 4
	allowedBurst = 15 * time.Second
)

// take tells whether one beat more is allowed.
func (a *allowance) take(now time.Time, every time.Duration) bool {
	full := float64(allowedBurst/every) + 16
	if a.at.IsZero() {
		a.tokens = full
	} else {
		a.tokens = min(full, a.tokens+allowedRate*float64(now.Sub(a.at))/float64(every))
	}
	a.at = now
	if a.tokens < 1 {
		return false
	}
	a.tokens--
	return true
}
