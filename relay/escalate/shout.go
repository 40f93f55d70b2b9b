// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package escalate

import (
	"context"
	"strings"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/notify"
	"github.com/certlink/certlink/relay/store"
)

// shoutEvery is how often a step that cannot be recorded is told all the same.
const shoutEvery = 15 * time.Minute

// shout tells of a step that could not be recorded. Nothing says that it was told but
// our memory; the same step, recorded later, has the same id.
func (l *line) shout(ctx context.Context, s *settings, d Due, now time.Time) {
	for _, name := range d.Step.Notify {
		to := s.notifiers[name]
		n := l.notice(d, name, now)
		about := digest(n.Stage, n.Step, string(n.Direction), n.Message, name)
		l.mu.Lock()
		silent := to == nil || now.Sub(l.shouted[about]) < shoutEvery && !l.shouted[about].After(now)
		if !silent {
			l.shouted[about] = now
		}
		if len(l.shouted) > store.MaxRecords {
			clear(l.shouted)
		}
		l.mu.Unlock()
		if silent {
			continue
		}
		out, err := l.compose(ctx, s, name, []store.Notice{n})
		if err == nil {
			err = to.Notify(ctx, out)
		}
		if err != nil {
			l.cfg.Log.ErrorContext(ctx, "an escalation could be neither recorded nor told", "notifier", name, "message_id", d.Message, "error", notify.Explain(err))
		}
	}
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
	taken, err := l.cfg.Store.OpenEscalations(ctx, l.trustDomain, store.MaxRecords)
	if err != nil {
		return false // the next round says so
	}
	l.mu.Lock()
	l.fresh[name] = now
	l.mu.Unlock()
	var batch []store.Notice
	for _, e := range taken {
		if len(batch) < notify.MaxItems && tells(s.hotline.Escalation, e.Step, name) {
			batch = append(batch, store.Notice{
				ID: digest(e.Stage, e.Step, string(e.Direction), e.Message, name), Event: string(notify.Escalated), Stage: e.Stage, Step: e.Step, Occurrence: e.Taken,
				Direction: e.Direction, Message: e.Message, Notifier: name, At: e.FirstAt,
			})
		}
	}
	if len(batch) == 0 {
		return false
	}
	n, err := l.compose(ctx, s, name, batch)
	if err == nil {
		err = to.Notify(ctx, n)
	}
	l.metrics.attempt(s.hotline.Name, name, err == nil)
	if err != nil && ctx.Err() == nil {
		l.cfg.Log.WarnContext(ctx, "alerts could not be told again", "hotline", s.hotline.Name, "notifier", name, "error", notify.Explain(err))
	}
	return true
}

func tells(ladder []config.Step, step, notifier string) bool {
	for _, s := range ladder {
		if s.Name == step {
			return strings.Contains("\n"+strings.Join(s.Notify, "\n")+"\n", "\n"+notifier+"\n")
		}
	}
	return false
}
