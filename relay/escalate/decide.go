// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package escalate

import (
	"cmp"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/hotline"
	"github.com/certlink/certlink/relay/store"
)

// Situation is a message about which somebody is, or may become, silent.
type Situation = hotline.Situation

// Due is a step that is to be taken now.
type Due struct {
	Situation
	Step config.Step
	// Taken counts this time, and FirstAt is when it was taken first.
	Taken   int32
	FirstAt time.Time
}

// key of a step about a message.
type key struct {
	direction     store.Direction
	message, step string
	stage         config.Stage
}

func keyOf(e store.Escalation) key {
	return key{direction: e.Direction, message: e.Message, stage: config.Stage(e.Stage), step: e.Step}
}

// Decide returns the steps that are due now, the most urgent first, and when the next
// one is; zero for never. taken are the steps that were taken and are not settled. It is
// pure.
//
// A step that was missed several times, because we were away or the clock was set
// ahead, is due once. One that was taken in the future was taken by a clock that has been
// set back since: it is due, so that it does not rest until that clock comes again.
func Decide(now time.Time, ladder []config.Step, situations []Situation, taken []store.Escalation) (due []Due, next time.Time) {
	before := make(map[key]store.Escalation, len(taken))
	for _, e := range taken {
		before[keyOf(e)] = e
	}
	for _, s := range situations {
		for _, step := range ladder {
			if step.Stage != s.Stage || !config.For(step.Precedences, s.Precedence) {
				continue
			}
			last := before[key{direction: s.Direction, message: s.Message, stage: s.Stage, step: step.Name}]
			at, again := dueAt(now, step, s.Deadline, last)
			switch {
			case !again:
			case at.After(now):
				next = sooner(next, at)
			default:
				d := Due{Situation: s, Step: step, Taken: last.Taken + 1, FirstAt: last.FirstAt}
				if last.Taken == 0 {
					d.FirstAt = now
				}
				due = append(due, d)
			}
		}
	}
	slices.SortStableFunc(due, func(a, b Due) int {
		return cmp.Or(cmp.Compare(urgency(a.Precedence), urgency(b.Precedence)), a.Deadline.Compare(b.Deadline))
	})
	return due, next
}

// dueAt is when a step is to be taken next; again is false for never.
func dueAt(now time.Time, step config.Step, deadline time.Time, last store.Escalation) (at time.Time, again bool) {
	switch {
	case last.Taken == 0:
		return deadline.Add(time.Duration(step.AfterSeconds) * time.Second), true
	case step.RepeatSeconds == 0 || last.Taken > step.MaxRepeats:
		return time.Time{}, false
	case last.LastAt.After(now):
		return now, true
	}
	return last.LastAt.Add(time.Duration(step.RepeatSeconds) * time.Second), true
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// urgency of a precedence, the most urgent is 0. One that we do not know is ROUTINE.
func urgency(precedence string) int32 {
	for i, d := range config.DefaultDeadlines() {
		if d.Precedence == precedence {
			return int32(i)
		}
	}
	return int32(len(config.DefaultDeadlines()) - 1)
}

// over returns what was escalated, by message and stage, and is not among the
// situations: whether it is over is to be looked up. Each once.
func over(situations []Situation, taken []store.Escalation) []store.Escalation {
	seen := make(map[key]bool, len(situations))
	for _, s := range situations {
		seen[key{direction: s.Direction, message: s.Message, stage: s.Stage}] = true
	}
	var out []store.Escalation
	for _, e := range taken {
		k := keyOf(e)
		k.step = ""
		if !seen[k] {
			seen[k] = true
			out = append(out, e)
		}
	}
	return out
}

// The pauses after failures of a notifier: from the shortest, doubling, to the longest.
const (
	shortestPause = 5 * time.Second
	longestPause  = 5 * time.Minute
)

// pauseAfter so many failures in a row, of which up to a quarter is taken off by chance.
func pauseAfter(failures int32, chance func(time.Duration) time.Duration) time.Duration {
	d := min(longestPause, shortestPause<<min(max(failures-1, 0), 10))
	return d - chance(d/4)
}
