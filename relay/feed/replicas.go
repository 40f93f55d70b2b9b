// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

// pullLease begins the names of leases of pulls.
const pullLease = "pull/"

// Notes are how the replica that pulls tells the others what it sees.
type Notes interface {
	Note(ctx context.Context, l store.Lease, note []byte) error
	Notes(ctx context.Context, prefix string) (map[string][]byte, error)
}

// tell leaves what the report has of this pull for the other replicas.
func (p *puller) tell(ctx context.Context) {
	l, leased := store.LeaseOf(ctx)
	shown, ok := p.reported()
	if p.cfg.Notes == nil || !leased || !ok {
		return
	}
	// The progress of a pull changes too often for that.
	shown.Progress = report.Progress{}
	note, err := json.Marshal(shown)
	if err != nil || bytes.Equal(note, p.told) {
		return
	}
	if err := p.cfg.Notes.Note(ctx, l, note); err != nil {
		p.cfg.Log.DebugContext(ctx, "telling the other replicas of a pull failed", "feed", p.name, "error", err)
		return
	}
	p.told = note
}

// Noted reads what another replica of this relay tells of its pulls.
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
		if e.cfg.Notes == nil {
			continue
		}
		notes, err := e.cfg.Notes.Notes(ctx, pullLease)
		if err != nil {
			e.cfg.Log.DebugContext(ctx, "reading what the other replicas pulled failed", "error", err)
			continue
		}
		others := make(map[string]report.Import, len(notes))
		for name, note := range notes {
			var shown report.Import
			if json.Unmarshal(note, &shown) == nil {
				others[name] = shown
			}
		}
		e.others.Store(&others)
		e.cfg.Changed()
	}
}

// ofOthers is what another replica tells of this pull; false if none does.
func (p *puller) ofOthers() (report.Import, bool) {
	others := p.others.Load()
	if others == nil {
		return report.Import{}, false
	}
	shown, ok := (*others)[pullLease+p.stored]
	return shown, ok
}
