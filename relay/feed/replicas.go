// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"

	"github.com/certlink/certlink/relay/report"
)

// pullLease begins the names of leases of pulls.
const pullLease = "pull/"

// tell leaves what the report has of this pull for the other replicas.
func (p *puller) tell(ctx context.Context) {
	shown, ok := p.reported()
	if !ok {
		return
	}
	// The progress of a pull changes too often for that.
	shown.Progress = report.Progress{}
	var err error
	if p.told, err = p.board.Tell(ctx, shown, p.told); err != nil {
		p.cfg.Log.DebugContext(ctx, "telling the other replicas of a pull failed", "feed", p.name, "error", err)
	}
}

// Noted reads what another replica of this relay tells of its pulls.
func (e *Engine) Noted() { e.board.Noted() }

// readNotes keeps what the other replicas tell, until ctx ends.
func (e *Engine) readNotes(ctx context.Context) {
	e.board.Read(ctx, e.cfg.Changed, func(err error) {
		e.cfg.Log.DebugContext(ctx, "reading what the other replicas pulled failed", "error", err)
	})
}

// ofOthers is what another replica tells of this pull; false if none does.
func (p *puller) ofOthers() (report.Import, bool) { return p.board.Of(pullLease + p.stored) }
