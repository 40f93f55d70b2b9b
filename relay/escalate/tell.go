// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package escalate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/hotline"
	"github.com/certlink/certlink/relay/notify"
	"github.com/certlink/certlink/relay/store"
)

const (
	// restAfter a notifier was told: what comes meanwhile goes out together.
	restAfter = 5 * time.Second
	// beyond any pause: a next attempt that is later was set by a clock that was ahead.
	beyond = 3 * longestPause
	// giveUp on what is no escalation: the news of yesterday. Escalations are told until
	// they are over.
	giveUp = 24 * time.Hour
	// refreshEvery is how often alerts are told again, well before they would end.
	refreshEvery = notify.AlertLasts / 4
)

// tell tells one notifier what is due, in the background, unless it is being told.
func (l *line) tell(ctx context.Context, s *settings, name string, to notify.Notifier, telling *sync.WaitGroup) {
	now := l.cfg.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if wait := l.rested[name].Add(restAfter).Sub(now); l.busy[name] || wait > 0 && wait <= restAfter {
		return
	}
	l.busy[name] = true
	telling.Go(func() {
		told, err := l.tellBatch(ctx, s, name, to)
		told = l.shout(ctx, s, name, to) || told
		told = l.refresh(ctx, s, name, to) || told
		if ctx.Err() == nil {
			l.note(name, err)
		}
		l.mu.Lock()
		l.busy[name] = false
		if told || err != nil {
			l.rested[name] = l.cfg.Now()
		}
		l.mu.Unlock()
	})
}

// tellBatch does steps 2 to 4 of one batch, see the package comment. told is false when
// nothing is due. Its errors are those of the store. While they last nothing is told twice:
// what became of a batch is kept in memory, and nothing else is told this way before it is
// recorded.
func (l *line) tellBatch(ctx context.Context, s *settings, name string, to notify.Notifier) (told bool, err error) {
	l.mu.Lock()
	before, owing := l.owed[name]
	l.mu.Unlock()
	if owing {
		return false, l.record(ctx, name, before)
	}
	now := l.cfg.Now()
	q := store.OpenQuery{Peer: l.trustDomain, Notifier: name, Due: now, Beyond: now.Add(beyond), Limit: notify.MaxItems}
	open, err := l.cfg.Store.OpenNotices(ctx, q)
	if err != nil || len(open) == 0 {
		return false, err
	}
	if q.Batch = open[0].Batch; q.Batch != "" { // all of it, however much else is due
		if open, err = l.cfg.Store.OpenNotices(ctx, q); err != nil || len(open) == 0 {
			return false, err
		}
	}
	batch, err := l.gather(ctx, open)
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case errors.Is(err, store.ErrNotFound):
		return false, err // the hotline is gone
	case err != nil:
		// It is told all the same; after a crash perhaps once more, under another key.
		l.cfg.Log.WarnContext(ctx, "a batch cannot be noted before it is told", "hotline", s.hotline.Name, "notifier", name, "error", err)
	}
	n, err := l.compose(ctx, s, name, batch)
	if err != nil {
		return false, err
	}
	failed := to.Notify(ctx, n)
	if ctx.Err() != nil {
		return true, ctx.Err() // we are stopping: it goes out again, under the same key
	}
	l.metrics.attempt(s.hotline.Name, name, failed == nil)
	return true, l.settleBatch(ctx, s, batch, failed)
}

// gather returns the notices that go out together: those of the first one's batch, else
// all of its event that are in none, which become one.
func (l *line) gather(ctx context.Context, open []store.Notice) ([]store.Notice, error) {
	first := open[0]
	var batch []store.Notice
	var ids []string
	for _, n := range open {
		if n.Batch == first.Batch && n.Event == first.Event {
			batch, ids = append(batch, n), append(ids, n.ID)
		}
	}
	if first.Batch != "" {
		return batch, nil
	}
	id := first.ID
	if len(batch) > 1 {
		id = digest(ids...)
	}
	for i := range batch {
		batch[i].Batch = id
	}
	return batch, l.put(ctx, batch, nil)
}

// put stores notices, with an act.
func (l *line) put(ctx context.Context, batch []store.Notice, act *hotline.Act) error {
	return l.cfg.Line.Change(unfenced{ctx}, l.trustDomain, func(tx store.LineTx) (*store.JournalEntry, error) {
		for _, n := range batch {
			if err := tx.PutNotice(n); err != nil {
				return nil, err
			}
		}
		if act == nil {
			return nil, nil
		}
		return act.Entry()
	})
}

// settleBatch records what became of a batch.
func (l *line) settleBatch(ctx context.Context, s *settings, batch []store.Notice, failed error) error {
	now := l.cfg.Now()
	done, given := failed == nil, 0
	why := clip(notify.Explain(failed))
	for i := range batch {
		n := &batch[i]
		n.Attempts++
		n.Error = why
		switch {
		case done:
			n.NextAt, n.SentAt = time.Time{}, micro(now)
		case n.Event != string(notify.Escalated) && now.Sub(n.At) > giveUp:
			n.NextAt, given = time.Time{}, given+1
		default:
			n.NextAt = micro(now.Add(pauseAfter(n.Attempts, chance)))
		}
	}
	var act *hotline.Act
	if done || given > 0 {
		act = actOf(batch, now, done)
	}
	if failed != nil {
		l.cfg.Log.WarnContext(ctx, "a notifier does not take what it is told", "hotline", s.hotline.Name, "notifier", batch[0].Notifier, "layer", notify.LayerOf(failed), "error", why)
	}
	return l.record(ctx, batch[0].Notifier, outcome{batch: batch, act: act})
}

// outcome is what became of a batch.
type outcome struct {
	batch []store.Notice
	act   *hotline.Act
}

// record does step 4. What cannot be recorded now is owed.
func (l *line) record(ctx context.Context, notifier string, o outcome) error {
	err := l.put(ctx, o.batch, o.act)
	l.mu.Lock()
	if l.owed[notifier] = o; err == nil {
		delete(l.owed, notifier)
	}
	l.mu.Unlock()
	if err != nil {
		return fmt.Errorf("recording what became of a notification: %w", err)
	}
	l.cfg.Changed()
	return nil
}

func chance(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}

// actOf is the act about a batch that was taken, or given up.
func actOf(batch []store.Notice, now time.Time, done bool) *hotline.Act {
	first := batch[0]
	act := &hotline.Act{Name: ActNotified, At: now, Details: map[string]string{
		"notifier": first.Notifier, "event": first.Event, "notification": first.Batch, "attempts": strconv.Itoa(int(first.Attempts)),
	}}
	if !done {
		act.Name, act.Details["error"] = ActGivenUp, first.Error
	}
	if len(batch) == 1 {
		act.Message, act.Direction = first.Message, strings.ToUpper(string(first.Direction))
		if first.Stage != "" {
			act.Details["stage"], act.Details["step"] = first.Stage, first.Step
		}
		return act
	}
	var ids []string
	for _, n := range batch {
		ids = append(ids, string(n.Direction)+" "+n.Message)
	}
	act.Details["messages"] = strings.Join(ids, ",")
	return act
}

func clip(s string) string {
	if len(s) > store.MaxNoticeError {
		s = strings.ToValidUTF8(s[:store.MaxNoticeError], "")
	}
	return s
}
