// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

// rereadPause is when deadlines are looked at again after the store failed.
const rereadPause = 5 * time.Second

// overdue is what has passed its deadline at one moment, and when the next does.
// It counts the oldest store.MaxMessages of each kind; more are not told apart.
type overdue struct {
	receipts, acknowledgements int64
	next                       time.Time // zero for never
}

// count looks at messages of ours: those without receipt wait for both, those
// with receipt for the acknowledgement. A deadline runs from when we stored the
// message. Nobody acknowledges an ACK.
func count(now time.Time, deadlines []config.Deadline, noReceipt, noAck []store.Message) overdue {
	var o overdue
	tally := func(n *int64, due time.Time) {
		switch {
		case !due.After(now):
			*n++
		case o.next.IsZero() || due.Before(o.next):
			o.next = due
		}
	}
	for _, m := range noReceipt {
		receipt, acknowledgement := allowed(deadlines, m.Precedence)
		tally(&o.receipts, m.StoredAt.Add(receipt))
		if m.Kind != KindACK && m.AcknowledgedBy == "" {
			tally(&o.acknowledgements, m.StoredAt.Add(acknowledgement))
		}
	}
	for _, m := range noAck {
		_, acknowledgement := allowed(deadlines, m.Precedence)
		tally(&o.acknowledgements, m.StoredAt.Add(acknowledgement))
	}
	return o
}

// allowed returns how long a precedence may take: as configured, else the default.
func allowed(deadlines []config.Deadline, precedence string) (receipt, acknowledgement time.Duration) {
	for _, list := range [][]config.Deadline{deadlines, config.DefaultDeadlines()} {
		for _, d := range list {
			if d.Precedence != precedence {
				continue
			}
			if receipt == 0 {
				receipt = time.Duration(d.ReceiptSeconds) * time.Second
			}
			if acknowledgement == 0 {
				acknowledgement = time.Duration(d.AcknowledgementSeconds) * time.Second
			}
		}
	}
	return receipt, acknowledgement
}

// overdue counts what is overdue on the line now.
func (l *line) overdue(ctx context.Context) (overdue, error) {
	noReceipt, noAck, err := l.engine.cfg.Store.Outstanding(ctx, l.trustDomain, store.MaxMessages)
	if err != nil {
		return overdue{}, err
	}
	hotline, _ := l.settings()
	return count(l.engine.cfg.Now(), hotline.Deadlines, noReceipt, noAck), nil
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
		hotline, peer := l.settings()
		e.metrics.missing(hotline.Name, counts.Gaps)
		hotlines = append(hotlines, report.Hotline{
			Name: hotline.Name, Peer: peer.Name,
			Queued: counts.Queued, OverdueReceipts: o.receipts, OverdueAcknowledgements: o.acknowledgements,
			LastReceipt: counts.LastReceipt, Unacknowledged: counts.Unacknowledged, Drafts: drafts, UrgentDraftSince: urgent, Error: l.error(),
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
			if !next.IsZero() {
				e.cfg.Changed()
			}
		case <-e.recheck:
		}
		if next = e.nextDeadline(ctx); next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(max(0, next.Sub(e.cfg.Now())))
		}
	}
}

// nextDeadline of all lines, zero for none.
func (e *Engine) nextDeadline(ctx context.Context) time.Time {
	var next time.Time
	for _, l := range e.all() {
		o, err := l.overdue(ctx)
		if err != nil {
			o.next = e.cfg.Now().Add(rereadPause)
		}
		if !o.next.IsZero() && (next.IsZero() || o.next.Before(next)) {
			next = o.next
		}
	}
	return next
}
