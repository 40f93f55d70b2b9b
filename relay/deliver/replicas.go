// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package deliver

import (
	"context"

	"github.com/certlink/certlink/relay/report"
)

// deliverLease begins the names of leases of deliveries.
const deliverLease = "deliver/"

func (w *worker) lease() string { return deliverLease + w.collection + "/" + w.conf.Name }

// lead notes that this replica delivers, or no longer does.
func (w *worker) lead(now bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leads = now
}

// tell leaves what the report has of this delivery for the other replicas, when it has changed.
func (w *worker) tell(ctx context.Context) {
	shown, ok := w.report()
	if !ok {
		return
	}
	var err error
	if w.told, err = w.board.Tell(ctx, shown, w.told); err != nil {
		w.cfg.Log.DebugContext(ctx, "telling the other replicas of a delivery failed", "feed", w.feed, "delivery", w.conf.Name, "error", err)
	}
}

// Noted reads what another replica of this relay tells of its deliveries.
func (e *Engine) Noted() { e.board.Noted() }

// readNotes keeps what the other replicas tell, until ctx ends.
func (e *Engine) readNotes(ctx context.Context) {
	e.board.Read(ctx, e.cfg.Changed, func(err error) {
		e.cfg.Log.DebugContext(ctx, "reading what the other replicas delivered failed", "error", err)
	})
}

// ofOthers is what another replica tells of this delivery; false if none does.
func (w *worker) ofOthers() (report.Delivery, bool) { return w.board.Of(w.lease()) }
