// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"errors"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/store"
)

// clockSkew is how far the clocks of two replicas may be apart.
const clockSkew = time.Minute

// takeOver begins the time in which this replica has the line. What it remembers of an earlier one may be
// out of date, as another replica had the line since.
func (l *line) takeOver() {
	l.forgetRecall()
	l.peerLog.forget()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.front.drop()
	l.leads, l.greeted, l.peerRecovers, l.toldBreak = true, false, false, false
}

// letGo ends it. Why attempts fail, and how much is queued, is another replica's to tell now.
func (l *line) letGo() {
	before := l.error()
	l.mu.Lock()
	l.leads, l.failure = false, failure{}
	clear(l.held)
	clear(l.tried)
	l.mu.Unlock()
	l.engine.metrics.waiting.DeleteLabelValues(l.name())
	if l.error() != before {
		l.engine.changed()
	}
}

// agreed notes that the newest checkpoint which this replica knew of our journal is in what is stored. Where
// another replica wrote behind it, that may have been the note that our journal goes on.
func (l *line) agreed(othersWrote bool) {
	now := l.engine.cfg.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.health.agreedAt = now
	if othersWrote {
		l.toldBreak = false
	}
}

// catchUp forgets what this replica found itself and another has settled since: that the peer shows an
// older state of its journal, once that went on; and that our database was set back, once the replica
// that has the line has recovered. was is what this replica had found before r began: what it has found since,
// or handed over, r does not show, and so does not settle.
func (l *line) catchUp(r store.LineReader, was health) error {
	older, lost := !was.olderSince.IsZero(), was.lost
	if !older && !lost {
		return nil
	}
	held, err := heldOf(r)
	if err != nil {
		return err
	}
	_, open, err := r.Recovery()
	if err != nil {
		return err
	}
	ours, err := r.Breaks(true)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	h := &l.health
	if older && h.olderSince.Equal(was.olderSince) && h.olderThan == was.olderThan && treeOf(held) != h.olderThan {
		h.olderSince = time.Time{}
	}
	same := h.lost && !l.leads && h.handedOver == was.handedOver && h.setBack == was.setBack
	if lost && same && !open && h.recoveredElsewhere(ours) {
		h.lost, h.handedOver, h.lostWhy, h.setBack = false, false, "", tlog.Tree{}
	}
	return nil
}

// recoveredElsewhere tells, where no recovery is open, whether one was made since this replica found that our database was set
// back: it had handed that over, or our journal has gone on since.
func (h *health) recoveredElsewhere(ours []store.Break) bool {
	return h.handedOver || len(ours) > 0 && !ours[0].At.Before(h.agreedAt.Add(-clockSkew))
}

// found is what this replica has found of the two journals up to now. That our database was set back is not for
// another replica to settle while this one has the line.
func (l *line) found() health {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.health
	was.lost = was.lost && !l.leads
	return was
}

// handOver lets the replica that has the line recover, which may not have found that our database was set
// back: that a recovery is begun is kept in the store, and told to the others. Without a crash in between
// or with one, whoever takes the line finds it. It does nothing where this replica has the line.
func (l *line) handOver(ctx context.Context) error {
	l.mu.Lock()
	needed := l.health.lost && !l.leads && !l.health.handedOver
	l.mu.Unlock()
	if !needed {
		return nil
	}
	now := l.engine.cfg.Now().UTC().Truncate(time.Microsecond)
	err := l.commit(ctx, &waiting{cost: -1, do: func(tx store.LineTx) ([]store.JournalEntry, error) {
		if _, open, err := tx.Recovery(); err != nil || open {
			return nil, err
		}
		ours, err := tx.Whole(store.Out)
		if err != nil {
			return nil, err
		}
		return nil, tx.KeepRecovery(store.Recovery{Since: now, Ours: ours})
	}})
	if err != nil {
		return &localError{doing: "noting that our database was set back", err: err}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.health.handedOver = true
	return nil
}

// handOverOf is handOver for who has something else to answer.
func (l *line) handOverOf(ctx context.Context) {
	if err := l.handOver(ctx); err != nil && !errors.Is(err, context.Canceled) {
		l.engine.cfg.Log.WarnContext(ctx, "the replica that has the line was not told that our database was set back", "peer", l.trustDomain, "error", oneLine(err.Error()))
	}
}

// Recall lets the replica that has the line to a peer, given by its trust domain, look whether a recovery was
// begun, or all of them if it is empty: another replica has noted how one stands.
func (e *Engine) Recall(trustDomain string) {
	for _, l := range e.all() {
		if trustDomain == "" || l.trustDomain == trustDomain {
			l.forgetRecall()
			l.pokeAll()
		}
	}
	e.changed()
}
