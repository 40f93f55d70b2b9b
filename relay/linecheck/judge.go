// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"cmp"
	"slices"
	"time"
)

// known is what the receiver holds of a path when a check arrives.
type known struct {
	// last number; zero for none.
	last int64
	// same number is stored, with this digest.
	stored bool
	digest string
}

// judge says what a received check is. Time does not decide: a clock may be set by a day,
// a number is never given twice. It is pure.
func judge(k known, number int64, digest string) Verdict {
	switch {
	case k.stored && k.digest == digest:
		return Again
	case k.stored:
		return Conflict
	case number <= k.last:
		return Old
	}
	return Received
}

// States of a path in one direction.
const (
	// Answered: a check succeeded within the declared time.
	Answered = "Answered"
	// Missed: none did.
	Missed = "Missed"
	// NotTested: we have not watched for long enough to tell.
	NotTested = "NotTested"
	// NotDeclared: the peer has not said that it checks; for checks of the peer only.
	NotDeclared = "NotDeclared"
)

// sight is what is known of a path in one direction.
type sight struct {
	way Way
	out bool
	// good is when the last check succeeded, by our clock; zero for never.
	good time.Time
	// limit is how long it may be without one.
	limit time.Duration
	// undeclared: the peer does not say how often it checks.
	undeclared bool
	// failure of the last check of ours.
	failure string
}

// standing is how a path in one direction is.
type standing struct {
	sight
	state string
	// until is when the state changes if nothing happens; zero for never.
	until time.Time
}

// stand says how a path in one direction is. since is from when on we have watched without
// a break: from the start of the relay, from when the clock was set, or from when less time
// was declared. What was good before lasts as long as it would have; what was not is not told
// before its time. It is pure.
func stand(s sight, since, now time.Time) standing {
	switch {
	case !s.good.IsZero() && now.Before(s.good.Add(s.limit)) && !s.good.After(now):
		return standing{sight: s, state: Answered, until: s.good.Add(s.limit)}
	case s.undeclared:
		return standing{sight: s, state: NotDeclared}
	case now.Before(since.Add(s.limit)):
		return standing{sight: s, state: NotTested, until: since.Add(s.limit)}
	}
	return standing{sight: s, state: Missed}
}

// latest is the newest that is stored of a path in one direction.
type latest struct {
	way   Way
	out   bool
	facts facts
	at    time.Time
	good  time.Time
}

// paths says which paths are to be checked, and what is known of them in both directions:
// those that we dial, those that the peer says to dial, and those over which it reaches
// us now. It is pure.
func paths(own, peer string, present []Way, seen []latest, limit, interval time.Duration) []sight {
	ways := slices.Clone(present)
	var declared *latest // the peer's last word
	for i, l := range seen {
		if !l.out && (declared == nil || l.at.After(declared.at)) {
			declared = &seen[i]
		}
	}
	inLimit := limit
	if declared != nil {
		for _, address := range declared.facts.Dials {
			ways = append(ways, Way{DialledBy: peer, Address: address})
		}
		inLimit = max(limit, time.Duration(declared.facts.IntervalSeconds)*time.Second+limit-interval)
	}
	slices.SortFunc(ways, func(a, b Way) int {
		return cmp.Or(cmp.Compare(btoi(a.DialledBy != own), btoi(b.DialledBy != own)), cmp.Compare(a.Address, b.Address))
	})
	ways = slices.Compact(ways)
	out := make([]sight, 0, 2*len(ways))
	for _, w := range ways {
		ours := sight{way: w, out: true, limit: limit}
		theirs := sight{way: w, limit: inLimit, undeclared: declared == nil}
		for _, l := range seen {
			if l.way != w {
				continue
			}
			of := &theirs
			if l.out {
				of = &ours
				if l.good.IsZero() {
					of.failure = l.facts.Failure
				}
			}
			if l.good.After(of.good) {
				of.good = l.good
			}
		}
		out = append(out, ours, theirs)
	}
	return out
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
