// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

// coarse is the step in which the report tells times: it is no log.
const coarse = time.Minute

// look reads what is known of the paths of the line and judges it now.
func (l *line) look(ctx context.Context) ([]standing, error) {
	now := l.engine.now()
	since := l.clock(now)
	rows, err := l.engine.cfg.Store.LatestLineChecks(ctx, l.trustDomain)
	if err != nil {
		return nil, fmt.Errorf("reading line checks of %s: %w", l.trustDomain, err)
	}
	seen := make([]latest, len(rows))
	for i, r := range rows {
		seen[i] = latest{way: wayOf(r.Path), out: r.Direction == store.Out, facts: factsOf(r.Content), at: r.At, good: r.DoneAt}
	}
	own := l.engine.cfg.Identity().TrustDomain()
	var present []Way
	for _, p := range l.engine.cfg.Paths(l.trustDomain) {
		present = append(present, way(own, p))
	}
	_, checks := l.settings()
	limit, interval := time.Duration(checks.MissedAfterSeconds)*time.Second, time.Duration(checks.IntervalSeconds)*time.Second
	sights := paths(own, l.trustDomain, present, seen, limit, interval)
	out := make([]standing, len(sights))
	for i, s := range sights {
		out[i] = stand(s, since, now.wall)
	}
	return out, nil
}

// watch tells of states as they change, by time alone too, until ctx ends.
func (l *line) watch(ctx context.Context) {
	var before []standing
	for {
		_, checks := l.settings()
		wait := schedule{interval: time.Duration(checks.IntervalSeconds) * time.Second}.look()
		now, err := l.look(ctx)
		if err != nil && ctx.Err() == nil {
			l.engine.cfg.Log.ErrorContext(ctx, "line checks cannot be read", "peer", l.trustDomain, "error", err)
		}
		if err == nil {
			name, _ := l.settings()
			l.engine.metrics.stand(name, now)
			if !slices.EqualFunc(before, now, sameState) {
				l.tell(ctx, before, now)
				l.engine.cfg.Changed()
			}
			before = now
			for _, s := range now {
				if !s.until.IsZero() {
					wait = min(wait, max(s.until.Sub(l.engine.cfg.Now()), 0))
				}
			}
		}
		if !sleep(ctx, wait, l.wakeWatch) {
			return
		}
	}
}

// sameState: what the report says of it is the same.
func sameState(a, b standing) bool {
	return a.way == b.way && a.out == b.out && a.state == b.state && a.failure == b.failure && a.good.Truncate(coarse).Equal(b.good.Truncate(coarse))
}

// tell logs what turned bad or good.
func (l *line) tell(ctx context.Context, before, now []standing) {
	for _, s := range now {
		i := slices.IndexFunc(before, func(b standing) bool { return b.way == s.way && b.out == s.out })
		if i >= 0 && before[i].state == s.state || s.state == NotTested || s.state == NotDeclared {
			continue
		}
		l.engine.cfg.Log.InfoContext(ctx, "line check", "peer", l.trustDomain, "path", s.way.key(), "ours", s.out, "state", s.state, "last_good", s.good, "failure", s.failure)
	}
}

// wakeWatchers looks at the state again, for a check has ended.
func (l *line) wakeWatchers() {
	select {
	case l.wakeWatch <- struct{}{}:
	default:
	}
}

// Complete puts the state of line checks into the report of hotlines.
func (e *Engine) Complete(ctx context.Context, hotlines []report.Hotline) error {
	for i := range hotlines {
		l, err := e.named(hotlines[i].Name)
		if err != nil {
			continue // of another configuration: the report is made anew soon
		}
		now, err := l.look(ctx)
		if err != nil {
			return err
		}
		hotlines[i].LineChecks = reported(e.cfg.Identity().TrustDomain(), now)
	}
	return nil
}

// reported turns both directions of each path into one entry of the report.
func reported(own string, now []standing) (list []report.LineCheck) {
	for _, s := range now {
		if s.out {
			list = append(list, report.LineCheck{
				Address: s.way.Address, Accepted: s.way.DialledBy != own,
				Sent: report.LineCheckState(s.state), LastSent: s.good.Truncate(coarse), Failure: s.failure,
			})
			continue
		}
		last := &list[len(list)-1] // paths puts ours before theirs
		last.Received, last.LastReceived = report.LineCheckState(s.state), s.good.Truncate(coarse)
	}
	return list
}
