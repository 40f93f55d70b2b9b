// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package campaign

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// Config of a campaign.
type Config struct {
	// Seed of faults and messages.
	Seed uint64
	// Messages to send, both directions together, and Faults to inject.
	Messages, Faults int
	// Rollback is how many messages are exchanged before an older copy of a store is restored
	// at the end, and again after it. Zero leaves that out.
	Rollback int
	// Relay is the binary that Build made.
	Relay string
	// Dir is a directory for the campaign alone.
	Dir string
	// Within bounds sending and faults; what is under way then is finished and judged.
	// Zero means no bound.
	Within time.Duration
	// Patience bounds the wait for what is queued, each time.
	Patience time.Duration
	// Say gets a line now and then. Nil means nobody.
	Say func(format string, args ...any)
}

// Result of a campaign.
type Result struct {
	Verdict
	// Messages were confirmed; Repeated is how often a request was repeated because it was not.
	Messages, Repeated int
	// Injected faults, by name.
	Injected map[string]int
	// Took is the time from the first message to the last verdict.
	Took time.Duration
	// Kept is where both stores and logs are, if something was wrong.
	Kept string
}

// Faults is how many were injected.
func (r *Result) Faults() (n int) {
	for _, count := range r.Injected {
		n += count
	}
	return n
}

// quarters is how often everything is delivered and judged.
const quarters = 4

// Run runs a campaign. Its error says that it could not be run to its end; what the
// campaign found is in the result, also then.
func (c Config) Run(ctx context.Context) (result *Result, err error) {
	if c.Say == nil {
		c.Say = func(string, ...any) {}
	}
	result = &Result{Injected: map[string]int{}}
	w, err := found(ctx, c.Dir, c.Relay, c.Seed)
	if err != nil {
		return result, err
	}
	defer func() {
		if err != nil || !result.Good() {
			kept, e := w.keep(c.Seed)
			result.Kept, err = kept, errors.Join(err, e)
		}
		err = errors.Join(err, w.close())
	}()
	begun := time.Now()
	defer func() { result.Took = time.Since(begun) }()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	t := newTraffic(c.Messages + 2*c.Rollback)
	sending := make(chan error, 1)
	go func() { sending <- t.run(ctx, w, c.Seed) }()
	err = c.inject(ctx, w, t, result)
	if err == nil && result.Good() && c.Rollback > 0 {
		err = c.setBack(ctx, w, t, result, int(c.Seed%2))
	}
	close(t.mayBegin)
	if err != nil {
		stop()
	}
	return result, errors.Join(err, <-sending)
}

// inject lets the faults happen, a share of the messages with each, and judges.
func (c Config) inject(ctx context.Context, w *world, t *traffic, result *Result) error {
	random := rand.New(rand.NewPCG(c.Seed, 0))
	faults := deck{random: random}
	begun, done, allowed, judged := time.Now(), 0, 0, 0
	for done < c.Faults {
		step := faults.step(c.Faults - done)
		done += len(step)
		share := c.Messages*done/c.Faults - allowed
		allowed += share
		t.allow(share)
		c.tell(result, done, step)
		if err := w.episode(ctx, random, step); err != nil {
			return fmt.Errorf("injecting fault %d with seed %d: %w", done, c.Seed, err)
		}
		for _, f := range step {
			result.Injected[f.name]++
		}
		// Faults do not run ahead of the messages that they are to hit.
		if err := t.reached(ctx, allowed-4*share-32); err != nil {
			return fmt.Errorf("sending at fault %d with seed %d: %w", done, c.Seed, err)
		}
		late := c.Within > 0 && time.Since(begun) > c.Within
		if quarter := done * quarters / c.Faults; quarter > judged || late {
			judged = quarter
			if err := c.settle(ctx, w, t, result, allowed, -1); err != nil || !result.Good() || late {
				return err
			}
		}
		if !pause(ctx, between(random, 0, 300*time.Millisecond)) {
			return ctx.Err()
		}
	}
	return nil
}

// settle waits until all that was allowed is sent and delivered, and judges.
func (c Config) settle(ctx context.Context, w *world, t *traffic, result *Result, allowed, setBack int) error {
	if err := t.reached(ctx, allowed); err != nil {
		return fmt.Errorf("waiting until all is confirmed: %w", err)
	}
	if err := w.drained(ctx, c.Patience); err != nil {
		return err
	}
	t.mu.Lock()
	result.Messages, result.Repeated = t.count, t.repeated
	t.mu.Unlock()
	v, err := w.judge(ctx, t, setBack)
	if err != nil {
		return fmt.Errorf("judging: %w", err)
	}
	result.Verdict = *v
	c.Say("seed %d: %d messages and %d faults: lost %d, doubled %d, out of order %d, gaps %d, altered %d, strange %d, journals damaged %d; %d requests repeated",
		c.Seed, result.Messages, result.Faults(), v.Lost, v.Doubled, v.Reordered, v.Gaps, v.Altered, v.Strange, v.Damaged, result.Repeated)
	for _, d := range v.Details {
		c.Say("  %s", d)
	}
	return nil
}

func (c Config) tell(result *Result, done int, step []drawn) {
	names := make([]string, len(step))
	for i, f := range step {
		names[i] = f.name + " at " + []string{"alfa", "bravo"}[f.side]
	}
	if every := max(1, c.Faults/20); done/every > result.Faults()/every || os.Getenv("VERBOSE") == "1" {
		c.Say("seed %d, fault %d of %d: %v", c.Seed, done, c.Faults, names)
	}
}

// keep copies stores and logs to where they stay.
func (w *world) keep(seed uint64) (string, error) {
	kept, err := os.MkdirTemp("", fmt.Sprintf("certlink-campaign-%d-", seed))
	if err != nil {
		return "", fmt.Errorf("keeping what was found: %w", err)
	}
	for _, s := range w.sides {
		s.Kill()
		from := os.DirFS(filepath.Dir(s.LogFile()))
		// Keys stay where they are.
		for _, part := range []string{"data", "relay.log", "relay.yaml"} {
			e := copyPart(from, part, filepath.Join(kept, s.Name))
			err = errors.Join(err, e)
		}
	}
	return kept, err
}
