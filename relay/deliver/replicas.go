// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package deliver

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

// deliverLease begins the names of leases of deliveries.
const deliverLease = "deliver/"

// Notes are how the replica that delivers tells the others what it sees: each of them may be
// asked for the report.
type Notes interface {
	Note(ctx context.Context, l store.Lease, note []byte) error
	Notes(ctx context.Context, prefix string) (map[string][]byte, error)
}

func (w *worker) lease() string { return deliverLease + w.collection + "/" + w.conf.Name }

// lead notes that this replica delivers, or no longer does.
func (w *worker) lead(now bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leads = now
}

// tell leaves what the report has of this delivery for the other replicas, when it has changed.
func (w *worker) tell(ctx context.Context) {
	l, leased := store.LeaseOf(ctx)
	shown, ok := w.report()
	if !leased || !ok {
		return
	}
	note, err := json.Marshal(shown)
	if err != nil || bytes.Equal(note, w.told) {
		return
	}
	if err := w.cfg.Store.Note(ctx, l, note); err != nil {
		w.cfg.Log.DebugContext(ctx, "telling the other replicas of a delivery failed", "feed", w.feed, "delivery", w.conf.Name, "error", err)
		return
	}
	w.told = note
}

// Noted reads what another replica of this relay tells of its deliveries.
func (e *Engine) Noted() {
	select {
	case e.noted <- struct{}{}:
	default:
	}
}

// readNotes keeps what the other replicas tell, until ctx ends.
func (e *Engine) readNotes(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.noted:
		}
		notes, err := e.cfg.Store.Notes(ctx, deliverLease)
		if err != nil {
			e.cfg.Log.DebugContext(ctx, "reading what the other replicas delivered failed", "error", err)
			continue
		}
		others := make(map[string]report.Delivery, len(notes))
		for name, note := range notes {
			var shown report.Delivery
			if json.Unmarshal(note, &shown) == nil {
				others[name] = shown
			}
		}
		e.others.Store(&others)
		e.cfg.Changed()
	}
}

// ofOthers is what another replica tells of this delivery; false if none does.
func (w *worker) ofOthers() (report.Delivery, bool) {
	others := w.others.Load()
	if others == nil {
		return report.Delivery{}, false
	}
	shown, ok := (*others)[w.lease()]
	return shown, ok
}
