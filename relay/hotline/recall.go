// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"time"

	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/store"
)

// pages are how many messages a recovery takes at once: of those that are given back, and of those
// that get other serials.
type pages struct{ copies, moves int }

// begun is the recovery that was begun, or one that is to begin, and above which serials
// something may be missing. Serials of ours that are stored do not tell that once queued messages were moved.
func (l *line) begun(ctx context.Context) (got store.Recovery, want wire.Want, err error) {
	err = l.engine.cfg.Store.ReadLine(ctx, l.trustDomain, func(r store.LineReader) (err error) {
		var open bool
		if got, open, err = r.Recovery(); err != nil {
			return err
		}
		if !open {
			if got.Ours, err = r.Whole(store.Out); err != nil {
				return err
			}
		}
		want.Ours = got.Ours
		want.Theirs, err = r.Whole(store.In)
		return err
	})
	return got, want, err
}

// beginRecovery keeps that a recovery was begun, before anything is entered in our journal for it: a
// journal that has grown meanwhile would look at the peer like another history.
func (l *line) beginRecovery(ctx context.Context, got *store.Recovery) error {
	if !got.Since.IsZero() {
		return nil
	}
	got.Since = l.engine.cfg.Now().UTC().Truncate(time.Microsecond)
	err := l.commit(ctx, &waiting{cost: -1, do: func(tx store.LineTx) ([]store.JournalEntry, error) {
		return nil, tx.KeepRecovery(*got)
	}})
	if err != nil {
		return &localError{doing: "noting that our database was set back", err: err}
	}
	return nil
}

// recall finds out, once for each time that this replica takes the line, whether a recovery was
// begun and not finished.
func (l *line) recall(ctx context.Context) error {
	l.mu.Lock()
	recalled := l.health.recalled
	l.mu.Unlock()
	if recalled {
		return nil
	}
	var got store.Recovery
	var open bool
	known := l.knownOwn()
	err := l.engine.cfg.Store.ReadLine(ctx, l.trustDomain, func(r store.LineReader) error {
		newest, _, err := r.Journal()
		if err != nil {
			return err
		}
		if err := l.compareOwn(r, newest, known); err != nil {
			return err
		}
		got, open, err = r.Recovery()
		return err
	})
	if err != nil {
		return &localError{doing: "reading whether a recovery was begun", err: err}
	}
	if open {
		l.wasSetBack("what was lost has not all come back since " + got.Since.UTC().Format(time.RFC3339))
	}
	l.mu.Lock()
	l.health.recalled = true
	l.mu.Unlock()
	return nil
}

// forgetRecall lets the next recall ask the store: another replica may have begun a recovery.
func (l *line) forgetRecall() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.health.recalled = false
}
