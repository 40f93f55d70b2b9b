// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package campaign

import (
	"context"
	"math/rand/v2"
	"time"
)

// Names of the faults, as they are counted.
const (
	Kill        = "kill"
	Cut         = "cut"
	OneWayCut   = "one_way_cut"
	Delay       = "delay"
	Loss        = "loss"
	FullDisk    = "full_disk"
	ClockJump   = "clock_jump"
	Certificate = "new_certificate"
	SigningLeaf = "new_signing_leaf"
)

// day is how far a clock jumps.
const day = 24 * time.Hour

// fault begins something bad, which undo ends; undo is nil where it stays.
type fault struct {
	name  string
	begin func(ctx context.Context, w *world, s *side, random *rand.Rand) (undo func(context.Context) error, err error)
}

// kinds in the order in which the seed draws from them.
var kinds = []fault{
	{Kill, func(_ context.Context, w *world, s *side, _ *rand.Rand) (func(context.Context) error, error) {
		w.kill(s)
		return func(ctx context.Context) error { return w.start(ctx, s) }, nil
	}},
	{Cut, func(_ context.Context, w *world, _ *side, _ *rand.Rand) (func(context.Context) error, error) {
		return func(context.Context) error { return w.net.Restore(w.ways()...) }, w.net.Cut(w.ways()...)
	}},
	{OneWayCut, func(_ context.Context, w *world, s *side, _ *rand.Rand) (func(context.Context) error, error) {
		return func(context.Context) error { return w.net.Restore(w.from(s)...) }, w.net.Cut(w.from(s)...)
	}},
	{Delay, func(_ context.Context, w *world, _ *side, random *rand.Rand) (func(context.Context) error, error) {
		return func(context.Context) error { return w.net.Delay(0, w.ways()...) },
			w.net.Delay(between(random, 5*time.Millisecond, 150*time.Millisecond), w.ways()...)
	}},
	{Loss, func(_ context.Context, w *world, _ *side, random *rand.Rand) (func(context.Context) error, error) {
		return func(context.Context) error { return w.net.Loss(0, w.ways()...) }, w.net.Loss(1+29*random.Float64(), w.ways()...)
	}},
	{FullDisk, func(_ context.Context, _ *world, s *side, _ *rand.Rand) (func(context.Context) error, error) {
		return func(context.Context) error { return s.makeRoom() }, s.fill()
	}},
	{ClockJump, func(_ context.Context, _ *world, s *side, random *rand.Rand) (func(context.Context) error, error) {
		by := day
		if random.IntN(2) == 0 {
			by = -day
		}
		return func(context.Context) error { return s.moveClock(0) }, s.moveClock(by)
	}},
	{Certificate, func(_ context.Context, w *world, s *side, random *rand.Rand) (func(context.Context) error, error) {
		if random.IntN(2) == 0 {
			w.kill(s)
		} else {
			w.stop(s)
		}
		return func(ctx context.Context) error { return w.start(ctx, s) }, s.issue("/relay")
	}},
	{SigningLeaf, func(_ context.Context, _ *world, s *side, _ *rand.Rand) (func(context.Context) error, error) {
		return nil, s.issue("/signing")
	}},
}

// drawn is one fault of a step.
type drawn struct {
	fault
	side int
}

// deck draws faults: each kind comes once before any comes again.
type deck struct {
	random *rand.Rand
	left   []int
}

func (d *deck) next() fault {
	if len(d.left) == 0 {
		d.left = d.random.Perm(len(kinds))
	}
	kind := kinds[d.left[0]]
	d.left = d.left[1:]
	return kind
}

// step says what happens next: one fault, or at times two at once.
func (d *deck) step(most int) []drawn {
	n := 1
	if d.random.IntN(3) == 0 {
		n = 2
	}
	step := make([]drawn, min(n, most))
	for i := range step {
		step[i] = drawn{d.next(), d.random.IntN(2)}
	}
	return step
}

// episode lets the faults of a step happen, and ends them.
func (w *world) episode(ctx context.Context, random *rand.Rand, step []drawn) error {
	hold, apart := between(random, 50*time.Millisecond, 1200*time.Millisecond), between(random, 0, 300*time.Millisecond)
	var undo []func(context.Context) error
	var failed error
	for _, f := range step {
		back, err := f.begin(ctx, w, w.sides[f.side], random)
		if failed = err; err != nil {
			break
		}
		if back != nil {
			undo = append(undo, back)
		}
		pause(ctx, apart)
	}
	pause(ctx, hold)
	for _, back := range undo {
		if err := back(ctx); err != nil && failed == nil {
			failed = err
		}
	}
	// What ended by itself is started again, as Kubernetes does: a relay may end when its
	// disk is full as it starts.
	for _, s := range w.sides {
		if err := w.start(ctx, s); err != nil && failed == nil {
			failed = err
		}
	}
	return failed
}
