// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/certlink/certlink/relay/store"
)

// adder sums up checks, which come ascending by slot. What is summed up already is passed
// over: the numbers of a path grow with time, whatever the clocks say.
type adder struct {
	done, new sum
	slots     map[time.Time]bool
}

// sumAfter goes on after what is summed up of a day.
func sumAfter(done sum) *adder { return &adder{done: done, slots: map[time.Time]bool{}} }

func (a *adder) add(c store.LineCheck) {
	f, out, path := factsOf(c.Content), c.Direction == store.Out, wayOf(c.Path)
	if i := a.done.index(out, path); i >= 0 && c.Number <= a.done.Paths[i].Through {
		return
	}
	t := a.new.of(out, path)
	t.Through = max(t.Through, c.Number)
	t.NotTested += f.Skipped
	good := !c.DoneAt.IsZero()
	if out && !good && f.Failure == "" {
		t.NotTested++ // interrupted by our own end
		return
	}
	t.Sent += 1 + f.Lost
	if out && !f.OnDemand {
		a.slots[c.Slot] = a.slots[c.Slot] || good
	}
	if good {
		t.Good++
		t.good(c.DoneAt, c.DoneAt, 0)
	}
}

// whole is what was summed up before and what came to it.
func (a *adder) whole() sum {
	s := sum{Paths: slices.Clone(a.done.Paths), Slots: a.done.Slots, SlotsAnswered: a.done.SlotsAnswered}
	later := a.new
	for _, answered := range a.slots {
		later.Slots++
		later.SlotsAnswered += int64(btoi(answered))
	}
	s.merge(later)
	return s
}

// sums reads what is summed up of the days from one to before another.
func (l *line) sums(ctx context.Context, first, last int64) (map[int64]sum, error) {
	days, err := l.engine.cfg.Store.LineCheckDays(ctx, l.trustDomain, first, last)
	if err != nil {
		return nil, err
	}
	kept := make(map[int64]sum, len(days))
	for _, d := range days {
		var one sum
		if err := json.Unmarshal(d.Content, &one); err != nil {
			return nil, fmt.Errorf("reading the sum of a day: %w", err)
		}
		kept[d.Day] = one
	}
	return kept, nil
}

// each reads the checks of some slots, a page at a time: there may be many.
func (l *line) each(ctx context.Context, from, to time.Time, do func(store.LineCheck)) error {
	q := store.LineCheckQuery{From: from, To: to, Limit: store.MaxLineChecks}
	for {
		page, err := l.engine.cfg.Store.ListLineChecks(ctx, l.trustDomain, q)
		if err != nil {
			return err
		}
		for _, c := range page {
			do(c)
		}
		if len(page) < q.Limit {
			return nil
		}
		q.After = &page[len(page)-1]
	}
}

// sumUpDays replaces the checks of days that are over by their sums, in one transaction: a
// crash leaves all of it to do, or nothing. A day may be summed up more than once, when a
// clock was set: what is new of it is added.
func (l *line) sumUpDays(ctx context.Context, now time.Time) error {
	cutoff := now.Add(-detail).Truncate(24 * time.Hour)
	byDay := map[int64]*adder{}
	done, err := l.sums(ctx, 0, day(cutoff))
	if err != nil {
		return err
	}
	if err := l.each(ctx, time.Unix(0, 0), cutoff, func(c store.LineCheck) {
		d := day(c.Slot)
		if byDay[d] == nil {
			byDay[d] = sumAfter(done[d])
		}
		byDay[d].add(c)
	}); err != nil {
		return err
	}
	var days []store.LineCheckDay
	for d, a := range byDay {
		if len(a.new.Paths) == 0 {
			continue // what is left of it are the newest of a path
		}
		content, err := json.Marshal(a.whole(), json.Deterministic(true))
		if err != nil {
			return err
		}
		days = append(days, store.LineCheckDay{Day: d, Content: content})
	}
	if len(days) == 0 {
		return nil
	}
	return l.engine.cfg.Change(ctx, l.trustDomain, func(tx store.LineTx) (*store.JournalEntry, error) {
		return nil, errors.Join(tx.SumLineChecks(days, cutoff), tx.DropLineCheckDays(day(now)-keepDays))
	})
}
