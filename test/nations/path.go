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

// Direction is the way of packets from one nation to another; the way back is another direction.
type Direction = hub.Direction

// PathState is how packets fare in one direction, and how many have.
type PathState = hub.PathState

// OneWay is the direction from one nation to another.
func OneWay(from, to string) []Direction { return []Direction{{From: from, To: to}} }

// Both is both directions between two nations.
func Both(a, b string) []Direction { return []Direction{{From: a, To: b}, {From: b, To: a}} }

// Cut drops every packet in those directions, without a word to the sender, until Restore.
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

// Restore makes those directions perfect again: not cut, no delay, no loss. Nil means all directions there are.
func Restore(ctx context.Context, directions []Direction) error {
	if directions == nil {
		directions = allDirections()
	}
	return changePaths(ctx, directions, func(p *PathState) { p.Quality = hub.Quality{} })
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
		// A direction that the hub does not know goes along as it is: the hub's answer names it.
		path := PathState{Direction: d}
		if i := slices.IndexFunc(now.Paths, func(p PathState) bool { return p.Direction == d }); i >= 0 {
			path = now.Paths[i]
		}
		change(&path)
		wanted = append(wanted, path)
	}
	return hub.SetPaths(ctx, state, wanted)
}

func allDirections() []Direction {
	var all []Direction
	for _, from := range layout.Names {
		for _, to := range layout.Names {
			if from != to {
				all = append(all, Direction{From: from, To: to})
			}
		}
	}
	return all
}
