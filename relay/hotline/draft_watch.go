// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"errors"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/store"
)

// draftPause is when drafts are looked at again in any case: another replica of the relay
// may have stored one.
const draftPause = time.Minute

// maxWarnings of the glossary that are kept with a message.
const maxWarnings = 32

var _ desk.Drafts = (*Engine)(nil)

// officers is the desk of the live configuration.
func (e *Engine) officers() config.Desk {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.desk
}

// draftsChanged tells that drafts are others than before.
func (e *Engine) draftsChanged() {
	e.pokeDrafts()
	e.changed()
}

// pokeDrafts makes Run look for the next draft that expires.
func (e *Engine) pokeDrafts() {
	select {
	case e.redraft <- struct{}{}:
	default:
	}
}

// watchDrafts ends drafts as they expire, until ctx ends. Every replica of a relay does so:
// the transaction looks again, so a draft ends once.
func (e *Engine) watchDrafts(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-e.redraft:
		}
		now, pause := e.cfg.Now(), draftPause
		for _, l := range e.all() {
			next, err := e.expireDrafts(ctx, l, now)
			switch {
			case err != nil && ctx.Err() == nil:
				e.cfg.Log.ErrorContext(ctx, "drafts cannot be looked at", "peer", l.trustDomain, "error", err)
			case err == nil && !next.IsZero():
				pause = min(pause, max(0, next.Sub(now)))
			}
		}
		timer.Reset(pause)
	}
}

// expireDrafts ends what has expired, and returns when the next draft does; zero for none.
func (e *Engine) expireDrafts(ctx context.Context, l *line, now time.Time) (next time.Time, err error) {
	drafts, err := e.waiting(ctx, l)
	if err != nil {
		return time.Time{}, err
	}
	var errs []error
	if len(drafts) == 0 {
		errs = append(errs, e.lookForDrafts(ctx, l))
	}
	for _, d := range drafts {
		switch {
		case !d.ExpiresAt.After(now):
			// Looking at an expired draft ends it; the refusal is for who would act on it.
			if _, err := e.onDraft(ctx, l.trustDomain, d.ID, never, look); err != nil && !errors.Is(err, store.ErrConflict) {
				errs = append(errs, err)
			}
		case next.IsZero() || d.ExpiresAt.Before(next):
			next = d.ExpiresAt
		}
	}
	return next, errors.Join(errs...)
}

// lookForDrafts finds out whether a draft was ever stored on a line without rules. While
// there are rules, another replica may store one at any time.
func (e *Engine) lookForDrafts(ctx context.Context, l *line) error {
	h, _ := l.settings()
	if l.undrafted.Load() && h.Release == nil {
		return nil
	}
	page, err := e.cfg.Store.ListDrafts(ctx, store.DraftQuery{Peer: l.trustDomain, Limit: 1})
	l.undrafted.Store(err == nil && len(page.Drafts) == 0 && h.Release == nil)
	return err
}

// look does nothing to a draft.
func look(*draftTx, actor) ([]store.JournalEntry, error) { return nil, nil }

// waiting are all drafts that wait: large ones take more than one page, and the oldest, which
// expire first, are on the last.
func (e *Engine) waiting(ctx context.Context, l *line) (all []store.Draft, err error) {
	q := store.DraftQuery{Peer: l.trustDomain, Waiting: true, Limit: store.MaxDrafts}
	for {
		page, err := e.cfg.Store.ListDrafts(ctx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Drafts...)
		if q.Before = page.Next; page.Next == 0 {
			return all, nil
		}
	}
}

// reportDrafts is what waits on a line: how many, and since when the oldest urgent one does.
func (e *Engine) reportDrafts(ctx context.Context, l *line) (n int64, urgentSince time.Time, err error) {
	drafts, err := e.waiting(ctx, l)
	if err != nil {
		return 0, time.Time{}, err
	}
	oldest := map[string]time.Time{}
	for _, d := range drafts {
		if at := oldest[d.Precedence]; at.IsZero() || d.CreatedAt.Before(at) {
			oldest[d.Precedence] = d.CreatedAt
		}
		urgent := d.Precedence == "FLASH" || d.Precedence == "IMMEDIATE"
		if urgent && (urgentSince.IsZero() || d.CreatedAt.Before(urgentSince)) {
			urgentSince = d.CreatedAt
		}
	}
	e.metrics.drafts(l.name(), len(drafts), oldest)
	return int64(len(drafts)), urgentSince, nil
}
