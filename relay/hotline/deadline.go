// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

// rereadPause is when deadlines are looked at again after the store failed.
const rereadPause = 5 * time.Second

// longestSleep until the next look: a clock that is set ahead is noticed after it.
const longestSleep = time.Minute

// restBetween two looks at deadlines: many messages at once cost one look. Where thousands wait
// it is restFor times as long as the last one took, at most longestRest.
const (
	restBetween = 250 * time.Millisecond
	restFor     = 15
	longestRest = 2 * time.Second
)

// overdue is what has passed its deadline at one moment, and when the next does.
// It counts the most urgent store.MaxMessages of each stage; more are not told apart.
type overdue struct {
	at   map[config.Stage]int64
	next time.Time // zero for never
}

// count looks at what somebody owes.
func count(now time.Time, situations []Situation) overdue {
	o := overdue{at: map[config.Stage]int64{}}
	for _, s := range situations {
		switch {
		case !s.Deadline.After(now):
			o.at[s.Stage]++
		case o.next.IsZero() || s.Deadline.Before(o.next):
			o.next = s.Deadline
		}
	}
	return o
}

// overdue counts what is overdue on the line now.
func (l *line) overdue(ctx context.Context) (overdue, error) {
	situations, err := l.situations(ctx)
	if err != nil {
		return overdue{}, err
	}
	o := count(l.engine.cfg.Now(), situations)
	l.engine.metrics.overdue(l.name(), o.at)
	return o, nil
}

// ReportHotlines returns the state of every hotline, in the order of the
// configuration.
func (e *Engine) ReportHotlines(ctx context.Context) ([]report.Hotline, error) {
	lines := e.all()
	hotlines := make([]report.Hotline, 0, len(lines))
	for _, l := range lines {
		counts, err := e.cfg.Store.CountMessages(ctx, l.trustDomain)
		if err != nil {
			return nil, err
		}
		o, err := l.overdue(ctx)
		if err != nil {
			return nil, err
		}
		drafts, urgent, err := e.reportDrafts(ctx, l)
		if err != nil {
			return nil, err
		}
		journals, err := l.journalState(ctx, counts.Gaps)
		if err != nil {
			return nil, err
		}
		hotline, peer := l.settings()
		e.metrics.missing(hotline.Name, counts.Gaps)
		e.metrics.doubt(hotline.Name, journals.State != report.JournalIntact)
		hotlines = append(hotlines, report.Hotline{
			Name: hotline.Name, Peer: peer.Name,
			Queued: counts.Queued, OverdueReceipts: o.at[config.StageReceipt], OverdueAcknowledgements: o.at[config.StageAcknowledgement],
			OverdueAnswers: o.at[config.StageAnswer], OverdueInbox: o.at[config.StageInbox],
			LastReceipt: counts.LastReceipt, Unacknowledged: counts.Unacknowledged, Drafts: drafts, UrgentDraftSince: urgent, Error: l.error(), Journal: journals,
		})
	}
	return hotlines, nil
}

// watchDeadlines calls Changed as deadlines pass, until ctx ends.
func (e *Engine) watchDeadlines(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var next time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			if !next.IsZero() && !next.After(e.cfg.Now()) {
				e.cfg.Changed()
			}
		case <-e.recheck:
		}
		begun := time.Now()
		if next = e.nextDeadline(ctx); next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(min(longestSleep, max(0, next.Sub(e.cfg.Now()))))
		}
		if !rest(ctx, max(restBetween, min(restFor*time.Since(begun), longestRest))) {
			return
		}
	}
}

// rest tells whether ctx goes on after a pause.
func rest(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// nextDeadline of all lines, zero for never.
func (e *Engine) nextDeadline(ctx context.Context) time.Time {
	var next time.Time
	late := false
	e.due.begin()
	for _, l := range e.all() {
		o, err := l.overdue(ctx)
		if err != nil {
			o.next = e.cfg.Now().Add(rereadPause)
		}
		for _, n := range o.at {
			late = late || n > 0
		}
		next = earlier(next, o.next)
	}
	return e.due.end(next, late)
}

// dues is the next deadline as the last look found it. A message that is stored brings its
// own, which is known without looking; one that is settled makes the next one later, so that
// a look when it passes is soon enough, unless something is late, which is to be told.
type dues struct {
	mu sync.Mutex // guards what follows
	// next deadline that is known, zero for none; while a look is under way, of what is stored
	// meanwhile.
	next time.Time
	// late: something was late at the last look; looking: one is under way; looked: one was made.
	late, looking, looked bool
}

// begin is called before a look: it may not see what is stored from now on.
func (d *dues) begin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next, d.looking = time.Time{}, true
}

// end takes what a look found, and returns the next deadline.
func (d *dues) end(next time.Time, late bool) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next, d.late, d.looking, d.looked = earlier(d.next, next), late, false, true
	return d.next
}

// spares tells whether no look is needed for a deadline at that time, or for none.
func (d *dues) spares(at time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.next
	d.next = earlier(before, at)
	return d.looking || d.looked && !d.late && d.next.Equal(before)
}

// earlier of two times, of which zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// firstDue is when the first deadline of a message passes, whatever may still settle it. answerBy is by when it
// asks to be answered itself, zero where it does not say that.
func (l *line) firstDue(m *store.Message, answerBy time.Time) time.Time {
	first := m.StoredAt.Add(l.firstOf(m.Precedence))
	if answerBy.IsZero() || !answerBy.Before(first) {
		return first
	}
	if by, asks := store.Asks(m); asks && !by.IsZero() {
		return by
	}
	return first
}

// firstsOf is how long until the first deadline of a message passes, by its precedence.
func firstsOf(deadlines []config.Deadline) map[string]time.Duration {
	firsts := map[string]time.Duration{}
	for _, precedence := range message.Precedences {
		p := periodsOf(deadlines, precedence)
		firsts[precedence] = min(p.receipt, p.acknowledgement, p.answer)
	}
	return firsts
}

// moved tells that messages were stored, of which the first deadline passes then; or, at the
// zero time, that some were settled.
func (e *Engine) moved(due time.Time) {
	if !e.due.spares(due) {
		e.poke()
	}
	e.cfg.Changed()
}
