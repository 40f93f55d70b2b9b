// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

const (
	// toldFor is how long a report tells that a journal went on after its database was set
	// back: long enough for people to compare.
	toldFor = 7 * 24 * time.Hour
	// patience is how long the peer may show an older state of its journal, or serials may be
	// missing, before that is named: messages overtake each other.
	patience = 2 * time.Minute
	// renumberSteps is how often a report tells how many queued messages have other serials.
	renumberSteps = 10
)

// health is what is known of the two journals of a line, beside what the store keeps.
type health struct {
	// lost: the peer holds a state of our journal that is not of our history.
	lost bool
	// setBack is the state that we know to have signed and that is not stored any more; zero
	// when only the peer has noticed.
	setBack tlog.Tree
	// lostWhy is why nothing could be recovered yet, for people.
	lostWhy string
	// handedOver: this replica found it, and the one that has the line is to recover.
	handedOver bool
	// agreedAt is when what is stored was last found to hold what this replica knew of our journal.
	agreedAt time.Time
	// recalled: the store was asked whether a recovery was begun and not finished.
	recalled bool
	// renumber queued messages get other serials now, and renumbered of them have theirs.
	renumber, renumbered int64
	// olderSince is since when the peer has shown nothing but older states of its journal;
	// continued: it has gone on since we started. olderThan is what was held of it then.
	olderSince time.Time
	olderThan  tlog.Tree
	continued  bool
	// forked: the peer has shown two histories since we started, or since that was settled.
	forked bool
	// gapsSince is since when serials of the peer are missing.
	gapsSince time.Time
}

// judge takes into account how a batch of the peer stands to what we hold of its journal.
func (l *line) judge(state string) {
	now, met := l.engine.cfg.Now(), l.peerLog.lastMet()
	l.mu.Lock()
	before := l.health
	switch state {
	case wire.Continues:
		l.health.olderSince, l.health.continued, before.continued = time.Time{}, true, true
	case wire.Forked:
		l.health.forked = true
	default:
		if l.health.olderSince.IsZero() {
			l.health.olderSince, l.health.olderThan = now, met
		}
	}
	changed, recovered := before != l.health, state == wire.Continues && l.peerRecovers
	if recovered {
		l.peerRecovers = false
		l.failure.forgive()
	}
	l.mu.Unlock()
	if changed {
		l.engine.changed()
	}
	if recovered {
		l.pokeAll()
	}
}

// awaitPeer notes that the peer first gets back what it lost. What it says in a journal that
// goes on ends the wait: our queue must not rest for the back-off then.
func (l *line) awaitPeer() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.peerRecovers = true
}

// suspect notes that our database was set back, as the peer shows.
func (l *line) suspect() { l.wasSetBack("the peer holds more of our journal than we do") }

// wasSetBack notes that our database was set back, and how that was found; the usual lane recovers.
func (l *line) wasSetBack(why string) {
	l.mu.Lock()
	changed := !l.health.lost
	if changed {
		l.health.handedOver = false // that was an earlier one
	}
	l.health.lost = true
	l.mu.Unlock()
	if changed {
		l.engine.cfg.Log.Error("our database was set back: "+why, "peer", l.trustDomain)
		l.engine.changed()
		l.poke()
	}
}

func (l *line) isLost() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.health.lost
}

// journalState names how the journals of the line stand, the worst first.
func (l *line) journalState(ctx context.Context, gaps int64) (report.Journal, error) {
	var ours, theirs []store.Break
	var doubts []store.Doubt
	known, found := l.knownOwn(), l.found()
	if err := l.engine.cfg.Store.ReadLine(ctx, l.trustDomain, func(r store.LineReader) error {
		newest, _, err := r.Journal()
		if err != nil {
			return err
		}
		if err := l.compareOwn(r, newest, known); err != nil {
			return err
		}
		if ours, err = r.Breaks(true); err != nil {
			return err
		}
		if theirs, err = r.Breaks(false); err != nil {
			return err
		}
		if doubts, err = openDoubts(r); err != nil {
			return err
		}
		return l.catchUp(r, found)
	}); err != nil {
		return report.Journal{}, err
	}
	l.handOverOf(ctx)
	now := l.engine.cfg.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if gaps == 0 {
		l.health.gapsSince = time.Time{}
	} else if l.health.gapsSince.IsZero() {
		l.health.gapsSince = now
	}
	// What was found before a restart holds until the peer goes on.
	if old := openDoubt(doubts, store.DoubtOlder); old != nil && l.health.olderSince.IsZero() && !l.health.continued {
		l.health.olderSince, l.health.olderThan = old.At, treeOf(old.Held)
	}
	forked := openDoubt(doubts, store.DoubtForked)
	l.health.forked = forked != nil // another replica may have settled it
	j := l.health.name(now, gaps, l.damage, forked, newestBreak(ours, now), newestBreak(theirs, now))
	j.VerifiedAt = l.verifiedAt
	return j, nil
}

// newestBreak is the newest one that is still told, nil for none.
func newestBreak(list []store.Break, now time.Time) *store.Break {
	if len(list) == 0 || now.Sub(list[0].At) > toldFor {
		return nil
	}
	return &list[0]
}

// name is pure.
func (h *health) name(now time.Time, gaps int64, damage string, forked *store.Doubt, ours, theirs *store.Break) report.Journal {
	switch {
	case damage != "":
		return report.Journal{State: report.JournalDamaged, Message: damage}
	case h.lost && h.renumber > 0:
		return report.Journal{State: report.JournalRolledBack, Message: fmt.Sprintf("our database was set back; nothing new is sent until the peer has given back what it holds of us: %d queued messages get serials behind that, more than %d %% are done", h.renumber, h.renumbered*renumberSteps/h.renumber*(100/renumberSteps))}
	case h.lost && h.lostWhy != "":
		return report.Journal{State: report.JournalRolledBack, Message: oneLine("our database was set back; nothing new is sent until the peer has given back what it holds of us: " + h.lostWhy)}
	case h.lost:
		return report.Journal{State: report.JournalRolledBack, Message: "our database was set back; nothing new is sent until the peer has given back what it holds of us"}
	case forked != nil:
		return report.Journal{State: report.PeerJournalForked, Message: fmt.Sprintf("at %s the peer has shown two histories of its journal, of %d and %d entries: both checkpoints are kept (journal doubts); compare with the peer over another channel, then settle it; what it sends in another history is not taken", forked.At.UTC().Format(time.RFC3339), forked.Held.Size, forked.Shown.Size)}
	case theirs != nil:
		return report.Journal{State: report.PeerJournalRolledBack, Message: fmt.Sprintf("the peer's database was set back: %d entries of its journal were signed before, and it has gone on in a history that it signed at %s; compare what you hold with the peer", theirs.OldSize, theirs.At.UTC().Format(time.RFC3339))}
	case !h.olderSince.IsZero() && now.Sub(h.olderSince) >= patience:
		return report.Journal{State: report.PeerJournalRolledBack, Message: "the peer shows an older state of its journal than we hold, since " + h.olderSince.UTC().Format(time.RFC3339) + "; it is asked to recover"}
	case ours != nil:
		return report.Journal{State: report.JournalRolledBack, Message: fmt.Sprintf("our database was set back; at %s the peer gave back what it held of us, and our journal went on: %s", ours.At.UTC().Format(time.RFC3339), recoveredText(ours.Note))}
	case gaps > 0 && now.Sub(h.gapsSince) >= patience:
		return report.Journal{State: report.MessagesMissing, Message: fmt.Sprintf("%d messages of the peer below its newest have not arrived, since %s: ask the peer which of its messages have no receipt", gaps, h.gapsSince.UTC().Format(time.RFC3339))}
	}
	return report.Journal{State: report.JournalIntact}
}
