// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/store"
)

// Acts about the peer's journal.
const (
	// actPeerDoubted: it has shown two histories, and that was kept.
	actPeerDoubted = "PEER_JOURNAL_DOUBTED"
	// actDoubtSettled: somebody of ours has ended that.
	actDoubtSettled = "PEER_DOUBT_SETTLED"
)

// doubt keeps what speaks against the peer's journal when a batch does not continue what we
// hold of it: that it has two histories at once, that it is older once it was so for some
// time. The first evidence of each kind stays until somebody settles it, so that neither a
// restart nor the peer makes us forget it.
func (l *line) doubt(tx store.LineTx, o *wire.Opened, held store.Checkpoint, state string) ([]store.JournalEntry, error) {
	now := l.engine.cfg.Now().UTC().Truncate(time.Microsecond)
	kind := l.doubtOf(state, now)
	if kind == "" || held.Size == 0 {
		return nil, nil
	}
	if kind == store.DoubtOlder {
		list, err := tx.Doubts()
		if err != nil {
			return nil, err
		}
		if old := openDoubt(list, kind); old != nil && (old.Held.Size != held.Size || old.Held.Root != held.Root) {
			if err := tx.SettleDoubt(kind, now, "it went on"); err != nil {
				return nil, err
			}
		}
	}
	shown := checkpointOf(o)
	kept, err := tx.KeepDoubt(store.Doubt{Kind: kind, At: now, Held: held, Shown: shown})
	if err != nil || !kept || kind == store.DoubtOlder { // a peer's restart may take as long
		return nil, err
	}
	act := Act{Name: actPeerDoubted, At: now, Details: map[string]string{
		"kind": kind, "held_size": fmt.Sprint(held.Size), "held_root": base64.StdEncoding.EncodeToString(held.Root[:]),
		"shown_size": fmt.Sprint(shown.Size), "shown_root": base64.StdEncoding.EncodeToString(shown.Root[:]),
	}}
	entry, err := act.Entry()
	if err != nil {
		return nil, err
	}
	return []store.JournalEntry{*entry}, nil
}

// doubtOf is the kind of doubt that a batch in this state gives cause for, empty for none.
func (l *line) doubtOf(state string, now time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case state == wire.Forked:
		return store.DoubtForked
	case !l.health.olderSince.IsZero() && now.Sub(l.health.olderSince) >= patience:
		return store.DoubtOlder
	}
	return ""
}

// byThePeer ends a doubt that the peer itself has explained.
const byThePeer = "the peer left the state that was held: its journal goes on after its database was set back"

// explain ends the open doubts that began at left, the very state which the peer now says,
// signed, that it leaves: a relay that was set back, and wrote as much again as it lost, has shown
// another history of that size before it could know. Both checkpoints stay kept, and the peer's
// word is told of as long as any other of its kind. A doubt that began at another state is not
// explained by it: a peer does not settle what else it is suspected of.
func explain(tx store.LineTx, now time.Time, left store.Checkpoint) error {
	list, err := tx.Doubts()
	if err != nil {
		return err
	}
	for _, kind := range []string{store.DoubtForked, store.DoubtOlder} {
		d := openDoubt(list, kind)
		if d == nil || d.Held.Size != left.Size || d.Held.Root != left.Root {
			continue
		}
		if err := tx.SettleDoubt(kind, now, byThePeer); err != nil {
			return err
		}
	}
	return nil
}

// openDoubt is the open one of a kind, nil for none.
func openDoubt(list []store.Doubt, kind string) *store.Doubt {
	for i := range list {
		if list[i].Kind == kind && list[i].SettledAt.IsZero() {
			return &list[i]
		}
	}
	return nil
}

// settle ends the open doubts of these kinds and returns how many there were.
func settle(tx store.LineTx, now time.Time, by string, kinds ...string) (n int, err error) {
	list, err := tx.Doubts()
	if err != nil {
		return 0, err
	}
	for _, kind := range kinds {
		if openDoubt(list, kind) == nil {
			continue
		}
		if err := tx.SettleDoubt(kind, now, by); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// openDoubts are those that nobody has settled; one of an older journal only while the peer
// has not gone on.
func openDoubts(r store.LineReader) ([]store.Doubt, error) {
	list, err := r.Doubts()
	list = slices.DeleteFunc(list, func(d store.Doubt) bool { return !d.SettledAt.IsZero() })
	if err != nil || openDoubt(list, store.DoubtOlder) == nil {
		return list, err
	}
	held, err := heldOf(r)
	return slices.DeleteFunc(list, func(d store.Doubt) bool {
		return d.Kind == store.DoubtOlder && (d.Held.Size != held.Size || d.Held.Root != held.Root)
	}), err
}

// settled lets the report be made anew once nothing is doubted any more.
func (l *line) settled() {
	l.mu.Lock()
	l.health.forked, l.health.olderSince, l.health.continued = false, time.Time{}, true
	l.mu.Unlock()
	l.engine.changed()
}

// JournalDoubts implements desk.Journals.
func (e *Engine) JournalDoubts(ctx context.Context, hotline string) (desk.DoubtList, error) {
	l := e.lineNamed(hotline)
	if l == nil {
		return desk.DoubtList{}, fmt.Errorf("reading doubts: there is no hotline %q: %w", oneLine(hotline), store.ErrNotFound)
	}
	out := desk.DoubtList{Doubts: []desk.JournalDoubt{}}
	err := e.cfg.Store.ReadLine(ctx, l.trustDomain, func(r store.LineReader) error {
		list, err := r.Doubts()
		for i := range list {
			d := &list[i]
			out.Doubts = append(out.Doubts, desk.JournalDoubt{
				Kind: d.Kind, At: d.At, Held: witnessed(&d.Held), Shown: witnessed(&d.Shown), SettledAt: d.SettledAt, SettledBy: d.SettledBy,
			})
		}
		return err
	})
	return out, err
}

func witnessed(c *store.Checkpoint) desk.PeerState {
	return desk.PeerState{Size: c.Size, Root: c.Root[:], Checkpoint: string(c.Signed), Chain: inPEM(split(c.Chain))}
}

// SettleDoubts implements desk.Journals.
func (e *Engine) SettleDoubts(ctx context.Context, hotline string, req desk.SettleDoubtsRequest) (desk.DoubtList, error) {
	l := e.lineNamed(hotline)
	if l == nil {
		return desk.DoubtList{}, fmt.Errorf("settling doubts: there is no hotline %q: %w", oneLine(hotline), store.ErrNotFound)
	}
	by, err := e.actor(ctx)
	if err != nil {
		return desk.DoubtList{}, err
	}
	if err := checkReason(req.Reason, true); err != nil {
		return desk.DoubtList{}, err
	}
	now := e.cfg.Now().UTC().Truncate(time.Microsecond)
	err = l.change(ctx, func(tx store.LineTx) (*store.JournalEntry, error) {
		n, err := settle(tx, now, by.identity, store.DoubtForked, store.DoubtOlder)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, &ownError{fmt.Errorf("settling doubts: none about hotline %q is open: %w", oneLine(hotline), store.ErrNotFound)}
		}
		act := Act{Name: actDoubtSettled, At: now, By: by.identity, Details: map[string]string{"reason": req.Reason}}
		return act.Entry()
	})
	if err != nil {
		return desk.DoubtList{}, err
	}
	l.settled()
	return e.JournalDoubts(ctx, hotline)
}
