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
	// verifyRest is how much longer such a verification rests than it works: it takes a
	// quarter of one processor at most.
	verifyRest = 3
)

// verifyDaily verifies the journal again and again until ctx ends; only the holder of the
// line's lease does.
func (l *line) verifyDaily(ctx context.Context) {
	timer := time.NewTimer(verifyFirst + rand.N(verifyFirst))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		l.verifyOnce(ctx)
		timer.Reset(verifyEvery + rand.N(verifyFirst))
	}
}

// verifyOnce leaves out a journal that is being verified, or that recovers.
func (l *line) verifyOnce(ctx context.Context) {
	if l.isLost() || !l.verifying.TryLock() {
		return
	}
	defer l.verifying.Unlock()
	if _, err := l.verifyAll(ctx, verifyRest); err != nil && ctx.Err() == nil {
		l.engine.cfg.Log.ErrorContext(ctx, "the journal could not be verified; it is tried again tomorrow", "peer", l.trustDomain, "error", oneLine(err.Error()))
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
