// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package escalate

import (
	"context"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/notify"
	"github.com/certlink/certlink/relay/store"
)

// shoutEvery is how often a step that cannot be recorded is told all the same, but to an
// Alertmanager, where it would end; again is when after a failure.
const (
	shoutEvery = 15 * time.Minute
	shoutAgain = time.Minute
)

// shout tells of the steps that could not be recorded, together. Nothing says that they were told but
// our memory; a step that is recorded later is told again. It tells whether it told anything.
func (l *line) shout(ctx context.Context, s *settings, name string, to notify.Notifier) bool {
	every := shoutEvery
	if conf := find(s.hotline.Notifiers, name); conf != nil && conf.Alertmanager != nil {
		every = refreshEvery
	}
	batch := l.toShout(name, every)
	if len(batch) == 0 || ctx.Err() != nil {
		return false
	}
	out, err := l.compose(ctx, s, name, batch)
	if err == nil {
		err = to.Notify(ctx, out)
	}
	l.metrics.attempt(s.hotline.Name, name, err == nil)
	if err != nil && ctx.Err() == nil {
		l.mu.Lock()
		for _, n := range batch {
			l.shouted[alert(n)] = l.cfg.Now().Add(shoutAgain - every)
		}
		l.mu.Unlock()
		l.cfg.Log.ErrorContext(ctx, "escalations could be neither recorded nor told", "hotline", s.hotline.Name, "notifier", name, "messages", len(batch), "error", notify.Explain(err))
	}
	return true
}

// alert is the same for all occurrences of a step, and for a notifier.
func alert(n store.Notice) string {
	return digest(n.Stage, n.Step, string(n.Direction), n.Message, n.Notifier)
}

// toShout picks what is to be told now, and takes down that it was.
func (l *line) toShout(name string, every time.Duration) (batch []store.Notice) {
	now := l.cfg.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.shouted) > store.MaxRecords {
		clear(l.shouted)
	}
	var ids []string
	for _, d := range l.lost {
		if len(batch) == notify.MaxItems || !slices.Contains(d.Step.Notify, name) {
			continue
		}
		n := l.notice(d, name, now)
		if last, told := l.shouted[alert(n)]; told && now.Sub(last) < every && !last.After(now) {
			continue
		}
		l.shouted[alert(n)] = now
		batch, ids = append(batch, n), append(ids, n.ID)
	}
	if len(batch) > 1 {
		batch[0].Batch = digest(ids...)
	}
	return batch
}

// refresh tells an Alertmanager again what lasts: it forgets alerts when it starts anew,
// and ends those that nobody tells again. It tells whether it told anything.
func (l *line) refresh(ctx context.Context, s *settings, name string, to notify.Notifier) bool {
	conf := find(s.hotline.Notifiers, name)
	now := l.cfg.Now()
	l.mu.Lock()
	age := now.Sub(l.fresh[name])
	l.mu.Unlock()
	if conf == nil || conf.Alertmanager == nil || age >= 0 && age < refreshEvery {
		return false
	}
	taken, err := l.open(ctx)
	if err != nil {
		return false // the next round says so
	}
	l.mu.Lock()
	l.fresh[name] = now
	l.mu.Unlock()
	var all []store.Notice
	for _, e := range taken {
		if tells(s.hotline.Escalation, e.Step, name) {
			n := store.Notice{
				Event: string(notify.Escalated), Stage: e.Stage, Step: e.Step, Occurrence: e.Taken,
				Direction: e.Direction, Message: e.Message, Notifier: name, At: e.FirstAt,
			}
			n.ID = alert(n)
			all = append(all, n)
		}
	}
	// All of them: an alert that nobody tells again looks as if the silence had ended.
	for batch := range slices.Chunk(all, notify.MaxItems) {
		n, err := l.compose(ctx, s, name, batch)
		if err == nil {
			err = to.Notify(ctx, n)
		}
		l.metrics.attempt(s.hotline.Name, name, err == nil)
		if err != nil {
			if ctx.Err() == nil {
				l.cfg.Log.WarnContext(ctx, "alerts could not be told again", "hotline", s.hotline.Name, "notifier", name, "error", notify.Explain(err))
			}
			break
		}
	}
	return len(all) > 0
}

func tells(ladder []config.Step, step, notifier string) bool {
	for _, s := range ladder {
		if s.Name == step {
			return slices.Contains(s.Notify, notifier)
		}
	}
	return false
}
