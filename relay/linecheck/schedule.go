// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

const (
	// jumpTolerance is how far the wall clock may move against the steady one between two
	// looks before it counts as set.
	jumpTolerance = 5 * time.Second
	// maxSkipped bounds what a check says of those that were not sent.
	maxSkipped = 1_000_000
)

// schedule says when the checks of a side are due: at offset after each multiple of the
// interval since 1970. It is pure.
type schedule struct{ interval, offset time.Duration }

// newSchedule gives the two sides of a line slots half an interval apart, the one whose
// trust domain comes first by its bytes the earlier; where they lie is a hash of the pair,
// so that lines do not check all at once.
func newSchedule(interval time.Duration, own, peer string) schedule {
	first, second := min(own, peer), max(own, peer)
	sum := sha256.Sum256([]byte(first + "\n" + second))
	half := interval / 2
	offset := time.Duration(binary.BigEndian.Uint64(sum[:8])>>1) % half
	offset -= offset % time.Second
	if own == second {
		offset += half
	}
	return schedule{interval: interval, offset: offset}
}

// number counts the slots up to a time.
func (s schedule) number(t time.Time) int64 {
	d := t.UnixMicro() - s.offset.Microseconds()
	every := s.interval.Microseconds()
	if d < 0 {
		return (d+1)/every - 1
	}
	return d / every
}

// slot is the last one at or before a time.
func (s schedule) slot(t time.Time) time.Time {
	return time.UnixMicro(s.number(t)*s.interval.Microseconds() + s.offset.Microseconds()).UTC()
}

// look is the longest time between two looks at the clocks and at what other replicas did.
func (s schedule) look() time.Duration { return min(max(s.interval/20, 5*time.Second), 10*time.Minute) }

// first is how long after its slot the holder of the lease sends alone.
func (s schedule) first() time.Duration { return min(s.interval/5, 10*time.Second) }

// between counts the slots after one and before another that were left out.
func (s schedule) between(last, slot time.Time) int64 {
	if last.IsZero() || !slot.After(last) {
		return 0
	}
	return min(max(s.number(slot)-s.number(last)-1, 0), maxSkipped)
}

// moment is one look at both clocks. The steady one is never set, and stands while the
// process does not run.
type moment struct {
	wall   time.Time
	steady time.Duration
}

// jumped tells whether the wall clock was set between two looks.
func jumped(before, now moment) bool {
	if before.wall.IsZero() {
		return false
	}
	apart := now.wall.Sub(before.wall) - (now.steady - before.steady)
	return apart > jumpTolerance || apart < -jumpTolerance
}

// turn is what is to be done now.
type turn struct {
	// due: the checks of slot are to be sent.
	due  bool
	slot time.Time
	// jumped: the clock was set. What was heard before says nothing about when.
	jumped bool
	// wait until the next look.
	wait time.Duration
}

// next decides. last is the slot for which checks were last sent, whoever sent them; zero
// for never.
//
// The slot that is running is sent late rather than not at all: after a start, or when the
// clock was set, nobody wants to wait for the next. What lies between is left out, and
// declared with the next check.
func (s schedule) next(before, now moment, last time.Time) turn {
	slot := s.slot(now.wall)
	t := turn{slot: slot, jumped: jumped(before, now)}
	// After a clock that was ahead is set right, the last slot lies in the future.
	t.due = t.jumped || slot.After(last) || last.Sub(now.wall) > s.interval
	t.wait = min(s.look(), max(0, slot.Add(s.interval).Sub(now.wall)))
	return t
}
