// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package route_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/route"
)

var states = []report.State{report.Up, report.Suspect, report.Recovering, report.Unknown, report.Down}

// simulation plays a link whose paths change at random. Each seed is a world of its own.
type simulation struct {
	*rand.Rand
	t     *testing.T
	seed  uint64
	paths []route.Path // in the order of the last ranking
}

func simulate(t *testing.T, play func(*simulation)) {
	t.Helper()
	for range 300 {
		seed := rand.Uint64()
		play(&simulation{Rand: rand.New(rand.NewPCG(seed, 0)), t: t, seed: seed})
		if t.Failed() {
			return
		}
	}
}

func (s *simulation) path(id int) route.Path {
	return route.Path{
		ID: strconv.Itoa(id), Priority: s.Int32N(3), State: states[s.IntN(len(states))],
		RoundTrip: time.Duration(s.IntN(400)) * time.Millisecond, LastWorked: time.Unix(int64(s.IntN(5)), 0),
	}
}

func (s *simulation) fill(n int) {
	for i := range n {
		s.paths = append(s.paths, s.path(i))
	}
}

// rank feeds the order back, as a caller with a memory does.
func (s *simulation) rank() []string {
	order := route.Rank(s.paths)
	slices.SortStableFunc(s.paths, func(a, b route.Path) int { return slices.Index(order, a.ID) - slices.Index(order, b.ID) })
	return order
}

func (s *simulation) errorf(format string, args ...any) {
	s.t.Helper()
	s.t.Errorf("seed %d: "+format, append([]any{s.seed}, args...)...)
}

func TestEveryRankingKeepsTheInvariants(t *testing.T) {
	simulate(t, func(s *simulation) {
		s.fill(1 + s.IntN(8))
		for range 50 {
			i := s.IntN(len(s.paths))
			changed := s.path(0)
			changed.ID = s.paths[i].ID
			s.paths[i] = changed
			order := s.rank()
			s.checkComplete(order)
			s.checkStates()
			s.checkNobodyClearlyFasterWaits()
			if again := s.rank(); !slices.Equal(again, order) {
				s.errorf("the same paths are ranked %v, then %v", order, again)
			}
		}
	})
}

func (s *simulation) checkComplete(order []string) {
	sorted := slices.Sorted(slices.Values(order))
	if len(order) != len(s.paths) || len(slices.Compact(sorted)) != len(s.paths) {
		s.errorf("%d paths, ranked %v", len(s.paths), order)
	}
}

func (s *simulation) checkStates() {
	for i := 1; i < len(s.paths); i++ {
		a, b := s.paths[i-1], s.paths[i]
		before, after := slices.Index(states, a.State), slices.Index(states, b.State)
		if before > after || before == after && a.Priority > b.Priority {
			s.errorf("%+v before %+v", a, b)
		}
	}
}

// checkNobodyClearlyFasterWaits: of live paths of one state and priority, the first is
// not clearly slower than any behind it.
func (s *simulation) checkNobodyClearlyFasterWaits() {
	for i, a := range s.paths {
		for _, b := range s.paths[i+1:] {
			if a.State != b.State || a.Priority != b.Priority || slices.Index(states, a.State) > 2 {
				continue
			}
			if b.RoundTrip > 0 && a.RoundTrip-b.RoundTrip >= 5*time.Millisecond && float64(b.RoundTrip) <= 0.79*float64(a.RoundTrip) {
				s.errorf("%v before the clearly faster %v", a, b)
			}
		}
	}
}

func TestAChangeOfADeadPathMovesNoOther(t *testing.T) {
	simulate(t, func(s *simulation) {
		s.fill(2 + s.IntN(6))
		before := s.rank()
		dead := s.paths[len(s.paths)-1]
		s.paths = slices.DeleteFunc(s.paths, func(p route.Path) bool { return p.ID == dead.ID })
		without := slices.DeleteFunc(slices.Clone(before), func(id string) bool { return id == dead.ID })
		if after := s.rank(); !slices.Equal(after, without) {
			s.errorf("without %v: %v, before %v", dead, after, before)
		}
		dead.State, dead.LastWorked = report.Down, time.Time{}
		dead.Priority = 100
		s.paths = slices.Insert(s.paths, s.IntN(len(s.paths)+1), dead)
		if after := s.rank(); !slices.Equal(after, append(without, dead.ID)) {
			s.errorf("with a dead path more: %v, want %v and %v", after, without, dead.ID)
		}
	})
}

func TestJitterMovesNoPath(t *testing.T) {
	simulate(t, func(s *simulation) {
		s.fill(2 + s.IntN(6))
		base := map[string]time.Duration{}
		rtt := 10*time.Millisecond + time.Duration(s.IntN(400))*time.Millisecond
		for i := range s.paths {
			// Nobody is clearly faster: all are within 9 % of each other at any time.
			s.paths[i].State, s.paths[i].Priority = report.Up, 0
			base[s.paths[i].ID] = rtt
		}
		jitter := func() {
			for i := range s.paths {
				rtt := base[s.paths[i].ID]
				s.paths[i].RoundTrip = rtt - rtt/22 + time.Duration(s.Int64N(int64(rtt/11)))
				s.paths[i].LastWorked = time.Unix(s.Int64N(100), 0)
			}
		}
		jitter()
		want := s.rank()
		for range 200 {
			jitter()
			if got := s.rank(); !slices.Equal(got, want) {
				s.errorf("jitter turned %v into %v", want, got)
				return
			}
		}
	})
}

func TestEveryPlanFollowsTheRankingInTime(t *testing.T) {
	simulate(t, func(s *simulation) {
		s.fill(s.IntN(9))
		copies := s.IntN(10) - 1
		order, plan := route.Rank(s.paths), route.Plan(s.paths, copies)
		for i, a := range plan {
			if i >= len(order) || a.ID != order[i] {
				s.errorf("plan %v, ranking %v", plan, order)
				return
			}
			if i > 0 && a.After < plan[i-1].After {
				s.errorf("plan %v goes back in time", plan)
			}
			if i < max(copies, 1) && a.After != 0 {
				s.errorf("attempt %d of %d copies waits %s", i, copies, a.After)
			}
			if i > max(copies, 2) && a.After-plan[i-1].After < 20*time.Millisecond {
				s.errorf("plan %v leaves no time for an answer", plan)
			}
		}
		if len(plan) != len(order) {
			s.errorf("plan %v, ranking %v", plan, order)
		}
	})
}
