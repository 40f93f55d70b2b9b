// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package escalate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/hotline"
	"github.com/certlink/certlink/relay/notify"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

// ListEscalations implements desk.Escalations.
func (e *Engine) ListEscalations(ctx context.Context, hotline string, q desk.EscalationQuery) (desk.EscalationList, error) {
	l, err := e.named(hotline)
	if err != nil {
		return desk.EscalationList{}, fmt.Errorf("listing escalations: %w", err)
	}
	page, err := e.cfg.Store.ListNotices(ctx, store.NoticeQuery{Peer: l.trustDomain, Message: q.Message, Event: q.Event, Before: q.Before, Limit: q.Limit})
	if err != nil {
		return desk.EscalationList{}, err
	}
	out := desk.EscalationList{Notices: []desk.EscalationNotice{}, Next: page.Next}
	for _, n := range page.Notices {
		out.Notices = append(out.Notices, desk.EscalationNotice{
			ID: n.ID, Event: n.Event, Stage: n.Stage, Step: n.Step, Occurrence: n.Occurrence, Direction: string(n.Direction), Message: n.Message,
			Deadline: n.Deadline, At: n.At, Notifier: n.Notifier, State: stateOf(n), Attempts: n.Attempts, ToldAt: n.SentAt, NextAt: n.NextAt, Error: n.Error,
		})
	}
	return out, nil
}

func stateOf(n store.Notice) string {
	switch {
	case !n.SentAt.IsZero():
		return desk.NoticeTold
	case n.NextAt.IsZero():
		return desk.NoticeGivenUp
	case n.Attempts > 0:
		return desk.NoticeFailing
	}
	return desk.NoticeWaiting
}

// TestNotifier implements desk.Escalations. The test goes the way of every other
// notification; it stands in the journal, as somebody was told something.
func (e *Engine) TestNotifier(ctx context.Context, hotlineName, name string) (desk.NotifierTest, error) {
	l, err := e.named(hotlineName)
	if err != nil {
		return desk.NotifierTest{}, fmt.Errorf("testing a notifier: %w", err)
	}
	s := l.settings()
	conf, to := find(s.hotline.Notifiers, name), s.notifiers[name]
	if conf == nil || to == nil {
		return desk.NotifierTest{}, fmt.Errorf("testing a notifier: hotline %q has no notifier %q: %w", hotlineName, name, store.ErrNotFound)
	}
	test := desk.NotifierTest{ID: "test-" + strings.ToLower(ulid.Make().String()), Hotline: hotlineName, Notifier: name, Kind: kindOf(*conf)}
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, TestTimeout)
	defer cancel()
	err = to.Notify(ctx, notify.Notification{
		ID: test.ID, Event: notify.Test, At: e.cfg.Now(), From: e.cfg.TrustDomain(), Hotline: hotlineName, Peer: s.peer.Name, PeerDomain: l.trustDomain,
	})
	test.Milliseconds, test.Taken = time.Since(begun).Milliseconds(), err == nil
	act := hotline.Act{Name: ActTested, At: e.cfg.Now(), Details: map[string]string{"notifier": name, "test": test.ID, "result": "taken"}}
	act.By = access.IdentityFrom(ctx)
	if err != nil {
		test.Layer, test.Error = string(notify.LayerOf(err)), clip(notify.Explain(err))
		act.Details["result"], act.Details["error"] = "failed", test.Error
	}
	if err := e.cfg.Line.Change(ctx, l.trustDomain, func(store.LineTx) (*store.JournalEntry, error) { return act.Entry() }); err != nil {
		return test, fmt.Errorf("recording the test of a notifier: %w", err)
	}
	return test, nil
}

func kindOf(n config.Notifier) string {
	switch {
	case n.Webhook != nil:
		return "webhook"
	case n.Alertmanager != nil:
		return "alertmanager"
	}
	return "smtp"
}

// Complete adds to the report what is done about silence. It reads the store, so that
// every replica says the same, but for what only the one that escalates can know.
func (e *Engine) Complete(ctx context.Context, hotlines []report.Hotline) error {
	for i := range hotlines {
		l, err := e.named(hotlines[i].Name)
		if err != nil {
			continue // it came or went this moment
		}
		s := l.settings()
		if s.idle() {
			continue
		}
		if hotlines[i].Escalation, err = l.report(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (l *line) report(ctx context.Context) (*report.Escalation, error) {
	taken, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	failed, err := l.cfg.Store.FailedNotices(ctx, l.trustDomain, store.MaxMessages)
	if err != nil {
		return nil, err
	}
	r := &report.Escalation{Failing: failing(failed)}
	l.mu.Lock()
	r.Error = l.fault()
	l.mu.Unlock()
	messages := map[string]bool{}
	for _, t := range taken {
		messages[string(t.Direction)+t.Message] = true
		if t.LastAt.After(r.At) {
			r.Stage, r.Step, r.Message, r.Direction, r.At = t.Stage, t.Step, t.Message, string(t.Direction), t.LastAt
		}
	}
	if r.Open = int64(len(messages)); r.Open == 0 && len(r.Failing) == 0 && r.Error == "" {
		return nil, nil
	}
	return r, nil
}

func failing(failed []store.Notice) []report.FailingNotifier {
	by := map[string]*report.FailingNotifier{}
	for _, n := range failed {
		f := by[n.Notifier]
		if f == nil {
			f = &report.FailingNotifier{Name: n.Notifier, Since: n.At.Truncate(time.Second)}
			by[n.Notifier] = f
		}
		f.Waiting++
		f.Error = n.Error
	}
	var out []report.FailingNotifier
	for _, f := range by {
		out = append(out, *f)
	}
	slices.SortFunc(out, func(a, b report.FailingNotifier) int { return strings.Compare(a.Name, b.Name) })
	return out
}
