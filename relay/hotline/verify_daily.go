// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/hotline/wire"
)

const (
	// verifyFirst is how long after the start the journal is verified first, by chance up to twice
	// as long, and verifyEvery how often from then on.
	verifyFirst = 10 * time.Minute
	verifyEvery = 24 * time.Hour
	// verifyAgain is how long after one that could not be made, or that was left out, the next is tried.
	verifyAgain = time.Hour
	// verifyRest is how much longer such a verification rests than it works: it takes a
	// quarter of one processor at most.
	verifyRest = 3
)

// verifyDaily verifies the journal again and again until ctx ends; only the holder of the
// line's lease does.
func (l *line) verifyDaily(ctx context.Context) {
	l.owe(l.engine.cfg.Now().UTC(), false)
	defer l.owe(time.Time{}, false)
	repeatedly(ctx, func() time.Duration {
		if l.verifyOnce(ctx) {
			return verifyEvery
		}
		return verifyAgain
	})
}

// repeatedly calls do until ctx ends: first after verifyFirst, then after the time that do
// returns. Each time is longer by chance, by verifyFirst at most: lines do not work all at once.
func repeatedly(ctx context.Context, do func() time.Duration) {
	timer := time.NewTimer(verifyFirst + rand.N(verifyFirst))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(do() + rand.N(verifyFirst))
	}
}

// verifyOnce leaves out a journal that is being verified, or that recovers; it tells whether it verified.
func (l *line) verifyOnce(ctx context.Context) bool {
	if l.isLost() || !l.verifying.TryLock() {
		return false
	}
	defer l.verifying.Unlock()
	_, err := l.verifyAll(ctx, verifyRest)
	if err != nil && ctx.Err() == nil {
		l.engine.cfg.Log.ErrorContext(ctx, "the journal could not be verified; it is tried again in an hour", "peer", l.trustDomain, "error", oneLine(err.Error()))
		l.mu.Lock()
		since := l.owed.since
		l.mu.Unlock()
		l.owe(since, true)
	}
	return err == nil
}

// owed is the daily verification that a line waits for.
type owed struct {
	// since is when the journal was last verified, or when this relay took the line over; zero
	// while another one has it.
	since time.Time
	// failed: the last one could not be made.
	failed bool
}

func (l *line) owe(since time.Time, failed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.owed = owed{since, failed}
	l.engine.metrics.owed(l.hotline.Name, l.owed)
}

// settleOwed notes a verification, by whomever it was asked for.
func (l *line) settleOwed(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.owed.since.IsZero() {
		l.owed = owed{since: now}
		l.engine.metrics.owed(l.hotline.Name, l.owed)
	}
}

// witness asks the peer for the largest checkpoint of ours that it holds, as we signed it,
// and compares it with what is here. That does not match if our database was set back, or
// written anew by somebody who can sign: the line recovers then.
func (l *line) witness(ctx context.Context) *desk.JournalWitness {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	o, err := l.ask(ctx, wire.Want{Ours: -1, Theirs: -1})
	if err != nil {
		return &desk.JournalWitness{State: desk.PeerUnasked, Reason: forPeople(err)}
	}
	shown, err := l.ownCheckpoint(o)
	switch {
	case err != nil:
		return &desk.JournalWitness{State: desk.PeerUnasked, Reason: oneLine(err.Error())}
	case shown.Tree.N == 0:
		return &desk.JournalWitness{State: desk.PeerHasNone, Reason: "the peer holds no checkpoint of ours yet"}
	}
	w := &desk.JournalWitness{State: desk.PeerAgrees, Size: shown.Tree.N, Checkpoint: string(o.Shown)}
	differs, err := l.behind(ctx, o.Held)
	switch {
	case err != nil:
		w.State, w.Reason = desk.PeerUnasked, oneLine(err.Error())
	case differs:
		w.State, w.Reason = desk.PeerDiffers, fmt.Sprintf("it holds a checkpoint over %d entries that we signed, and that is no state of our journal as it is here", shown.Tree.N)
		l.suspect()
	}
	return w
}
