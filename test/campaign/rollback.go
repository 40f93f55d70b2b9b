// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package campaign

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/certlink/certlink/relay/report"
)

// Rollback is the name of the fault in which an older copy of a store is restored.
const Rollback = "rollback"

// setBack keeps a copy of a store, lets messages be exchanged, restores the copy as an
// administrator would from backup, and wants both sides to name it and everything that was
// delivered to be there again. It comes last, when all is delivered: what had not left
// when a store is lost is nowhere else.
func (c Config) setBack(ctx context.Context, w *world, t *traffic, result *Result, side int) error {
	s, messages, before := w.sides[side], c.Rollback, result.Messages
	backup := filepath.Join(c.Dir, "backup")
	w.stop(s)
	if err := copyPart(os.DirFS(s.data), ".", backup); err != nil {
		return err
	}
	if err := w.start(ctx, s); err != nil {
		return err
	}
	t.allow(messages)
	if err := errors.Join(t.reached(ctx, before+messages), w.drained(ctx, c.Patience)); err != nil {
		return err
	}
	w.kill(s)
	if err := s.restore(backup); err != nil {
		return err
	}
	if err := w.start(ctx, s); err != nil {
		return err
	}
	result.Injected[Rollback]++
	c.Say("seed %d: the store of %s is as it was %d messages before", c.Seed, s.Name, messages)
	t.allow(messages)
	if err := c.settle(ctx, w, t, result, before+2*messages, side); err != nil {
		return fmt.Errorf("after a rollback: %w", err)
	}
	for i, want := range []string{report.JournalRolledBack, report.PeerJournalRolledBack} {
		if err := w.named(ctx, w.sides[(side+i)%2], want, c.Patience); err != nil {
			result.note(&result.Unnamed, "%v", err)
			c.Say("  %v", err)
		}
	}
	return nil
}

// restore puts a copy in the place of the store.
func (s *side) restore(backup string) error {
	old, err := filepath.Glob(filepath.Join(s.data, "*"))
	if err != nil {
		return err
	}
	for _, file := range old {
		if err := os.RemoveAll(file); err != nil {
			return fmt.Errorf("restoring the store of %s: %w", s.Name, err)
		}
	}
	return copyPart(os.DirFS(backup), ".", s.data)
}

// named waits until a relay says how the journals of its hotline stand.
func (w *world) named(ctx context.Context, s *side, state string, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last report.Journal
	for {
		r, err := s.Report(ctx)
		if err == nil && len(r.Hotlines) == 1 {
			if last = r.Hotlines[0].Journal; last.State == state {
				return nil
			}
		}
		if !pause(ctx, 100*time.Millisecond) {
			return fmt.Errorf("%s does not name the rollback: %q, want %q: %s", s.Name, last.State, state, last.Message)
		}
	}
}
