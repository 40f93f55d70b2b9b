// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nations

import (
	"context"
	"slices"
	"time"

	"github.com/certlink/certlink/test/nations/internal/hub"
	"github.com/certlink/certlink/test/nations/internal/layout"
)

// Direction is the way of packets from one nation to another, or between addresses of theirs; the way back is another
// direction.
type Direction = hub.Direction

// PathState is how packets fare in one direction, and how many have.
type PathState = hub.PathState

// OneWay is the direction from one nation to another.
func OneWay(from, to string) []Direction { return []Direction{{From: from, To: to}} }

// Both is both directions between two nations.
func Both(a, b string) []Direction { return Around(Direction{From: a, To: b}) }

// Around is a direction and its way back: the same addresses at the same nations.
func Around(d Direction) []Direction {
	return []Direction{d, {From: d.To, To: d.From, FromAddress: d.ToAddress, ToAddress: d.FromAddress}}
}

// Cut drops every packet in those directions, also what is under way, without a word to the sender, until Restore.
func Cut(ctx context.Context, directions []Direction) error {
	return changePaths(ctx, directions, func(p *PathState) { p.Cut = true })
}

// Delay adds d to every packet in those directions; 0 adds nothing. Packets stay in order. The limit is a minute.
func Delay(ctx context.Context, d time.Duration, directions []Direction) error {
	return changePaths(ctx, directions, func(p *PathState) { p.Delay = d })
}

// Loss drops that share of the packets in those directions, from 0 to 100 percent, at random.
func Loss(ctx context.Context, percent float64, directions []Direction) error {
	return changePaths(ctx, directions, func(p *PathState) { p.Loss = percent })
}

// Restore makes those directions perfect again: not cut, no delay, no loss. A direction without addresses takes along
// those with an address between the same nations. Nil means all directions there are.
func Restore(ctx context.Context, directions []Direction) error {
	state, err := layout.RunState()
	if err != nil {
		return err
	}
	now, err := hub.Ask(ctx, state)
	if err != nil {
		return err
	}
	var healed []PathState
	for _, p := range now.Paths {
		whole := Direction{From: p.From, To: p.To}
		if directions == nil || slices.Contains(directions, p.Direction) || slices.Contains(directions, whole) {
			healed = append(healed, PathState{Direction: p.Direction})
		}
	}
	for _, d := range directions { // the hub says what is wrong with those that it does not know
		if !slices.ContainsFunc(healed, func(p PathState) bool { return p.Direction == d }) {
			healed = append(healed, PathState{Direction: d})
		}
	}
	return hub.SetPaths(ctx, state, healed)
}

// Paths returns the state of every direction.
func Paths(ctx context.Context) ([]PathState, error) {
	state, err := layout.RunState()
	if err != nil {
		return nil, err
	}
	now, err := hub.Ask(ctx, state)
	return now.Paths, err
}

func changePaths(ctx context.Context, directions []Direction, change func(*PathState)) error {
	state, err := layout.RunState()
	if err != nil {
		return err
	}
	now, err := hub.Ask(ctx, state)
	if err != nil {
		return err
	}
	wanted := make([]PathState, 0, len(directions))
	for _, d := range directions {
		// A direction that the hub does not know yet goes along as it is; its answer names a wrong one.
		path := PathState{Direction: d}
		if i := slices.IndexFunc(now.Paths, func(p PathState) bool { return p.Direction == d }); i >= 0 {
			path = now.Paths[i]
		}
		change(&path)
		wanted = append(wanted, path)
	}
	return hub.SetPaths(ctx, state, wanted)
}
