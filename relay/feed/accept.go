// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// Why an object that a peer sent is in quarantine.
const (
	// Forked: the same id and version is stored with other content.
	Forked = "Forked"
	// CreatorNotAllowed: it was created by, or is, an identity that is bound to
	// another peer.
	CreatorNotAllowed = "CreatorNotAllowed"
	// AfterRevocation: an older version of the object is revoked, and that is final
	// (STIX 2.1 section 3.6).
	AfterRevocation = "AfterRevocation"
)

// creators says which peers, by name, may speak for an identity. Identities that are
// not here anyone may name.
type creators map[string][]string

func creatorsOf(peers []config.Peer) creators {
	c := creators{}
	for _, p := range peers {
		for _, id := range p.Identities {
			id = strings.ToLower(id)
			c[id] = append(c[id], p.Name)
		}
	}
	return c
}

// allow tells whether a peer may send an object: as created by whom it says, and, of
// an identity, as that identity.
func (c creators) allow(peer string, o stix.Object) bool {
	return c.free(peer, o.CreatedBy) && (o.Type != "identity" || c.free(peer, o.ID))
}

func (c creators) free(peer, identity string) bool {
	speakers, bound := c[strings.ToLower(identity)]
	return !bound || slices.Contains(speakers, peer)
}

// accept takes out of what a peer sent what must not be stored, into quarantine, and
// puts revoked versions first. What tools of ours bring is not judged here.
func (in *intake) accept(ctx context.Context, objects []stix.Object) ([]stix.Object, error) {
	if in.peer == "" || len(objects) == 0 {
		return objects, nil
	}
	allowed := in.live.Load().creators
	refused := map[string][]stix.Object{}
	kept := make([]stix.Object, 0, len(objects))
	for _, o := range objects {
		if allowed.allow(in.peer, o) {
			kept = append(kept, o)
		} else {
			refused[CreatorNotAllowed] = append(refused[CreatorNotAllowed], o)
		}
	}
	slices.SortStableFunc(kept, func(a, b stix.Object) int { return order(a.Revoked) - order(b.Revoked) })
	since, err := in.revokedSince(ctx, kept)
	if err != nil {
		return nil, err
	}
	kept = slices.DeleteFunc(kept, func(o stix.Object) bool {
		late := after(since, o)
		if late {
			refused[AfterRevocation] = append(refused[AfterRevocation], o)
		}
		return late
	})
	for reason, list := range refused {
		if err := in.quarantine(ctx, reason, list); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

func order(revoked bool) int {
	if revoked {
		return 0
	}
	return 1
}

// after tells whether an object is a version of one that was revoked before, as if it
// were not.
func after(since map[string]time.Time, o stix.Object) bool {
	revoked, ok := since[o.ID]
	return ok && !o.Revoked && o.Version.After(revoked)
}

// revokedSince says of objects since which version they are revoked, by what is stored
// and by what has come with them.
func (in *intake) revokedSince(ctx context.Context, objects []stix.Object) (map[string]time.Time, error) {
	ids := make([]string, len(objects))
	for i, o := range objects {
		ids[i] = o.ID
	}
	since, err := in.cfg.Store.Revoked(ctx, in.stored, ids)
	if err != nil {
		return nil, fmt.Errorf("reading revocations: %w", err)
	}
	for id, version := range revocations(objects) {
		if old, ok := since[id]; !ok || version.Before(old) {
			since[id] = version
		}
	}
	return since, nil
}

// revocations are the oldest revoked version of each object.
func revocations(objects []stix.Object) map[string]time.Time {
	since := map[string]time.Time{}
	for _, o := range objects {
		if old, ok := since[o.ID]; o.Revoked && !o.Version.IsZero() && (!ok || o.Version.Before(old)) {
			since[o.ID] = o.Version
		}
	}
	return since
}

// keep stores objects of a peer, and the cursor behind them:
//
//	store objects → quarantine forks → take back what is revoked → note revocations → store cursor
//
// Each step can be repeated. A crash before the last leaves the old cursor: the page is
// read again, and the steps that are done find nothing to do.
func (in *intake) keep(ctx context.Context, objects []stix.Object, cursor string) ([]store.Outcome, error) {
	if in.peer == "" || len(objects) == 0 {
		return in.cfg.Store.PutObjects(ctx, in.stored, records(objects), cursor)
	}
	outcomes, err := in.cfg.Store.PutObjects(ctx, in.stored, records(objects), "")
	if err != nil {
		return nil, err
	}
	err = in.follow(ctx, objects, outcomes)
	if err == nil && cursor != "" {
		_, err = in.cfg.Store.PutObjects(ctx, in.stored, nil, cursor)
	}
	if err != nil {
		// What there is must be counted anew: a part was stored all the same.
		in.mu.Lock()
		in.looked = false
		in.mu.Unlock()
	}
	return outcomes, err
}

// follow does what the outcomes ask for.
func (in *intake) follow(ctx context.Context, objects []stix.Object, outcomes []store.Outcome) error {
	var forks, stored []stix.Object
	for i, o := range objects {
		if outcomes[i] == store.Forked {
			forks = append(forks, o)
		} else if o.Revoked {
			stored = append(stored, o)
		}
	}
	if err := in.quarantine(ctx, Forked, forks); err != nil {
		return err
	}
	return in.revoke(ctx, revocations(stored))
}

// revoke makes objects revoked since the versions: later ones that are stored and are
// not, go into quarantine.
func (in *intake) revoke(ctx context.Context, since map[string]time.Time) error {
	if len(since) == 0 {
		return nil
	}
	for id := range since {
		if err := in.takeBack(ctx, id, since); err != nil {
			return err
		}
	}
	if err := in.cfg.Store.NoteRevocations(ctx, in.stored, since); err != nil {
		return fmt.Errorf("storing revocations: %w", err)
	}
	return nil
}

// takeBack moves the versions of an object behind its revocation into quarantine.
func (in *intake) takeBack(ctx context.Context, id string, since map[string]time.Time) error {
	q := store.Query{IDs: []string{id}, Limit: store.MaxSelectors}
	var late []stix.Object
	for {
		page, err := in.cfg.Store.ListObjects(ctx, in.stored, q)
		if err != nil {
			return err
		}
		for _, r := range page.Records {
			if o, err := stix.Parse(r.Raw); err == nil && after(since, o) {
				late = append(late, o)
			}
		}
		if q.After = page.Next; q.After == 0 {
			break
		}
	}
	if err := in.quarantine(ctx, AfterRevocation, late); err != nil {
		return err
	}
	for part := range slices.Chunk(late, store.MaxSelectors) {
		gone := store.Query{IDs: []string{id}, Limit: store.MaxRecords}
		for _, o := range part {
			gone.Versions.At = append(gone.Versions.At, o.Version)
		}
		n, err := in.cfg.Store.DeleteObjects(ctx, in.stored, gone)
		if err != nil {
			return err
		}
		in.mu.Lock()
		in.now.Stored -= int64(n)
		in.mu.Unlock()
	}
	return nil
}

// quarantine stores objects in the quarantine of the collection, and counts them.
func (in *intake) quarantine(ctx context.Context, reason string, objects []stix.Object) error {
	if len(objects) == 0 {
		return nil
	}
	items := make([]store.Quarantined, len(objects))
	for i, o := range objects {
		items[i] = store.Quarantined{Object: record(o), Reason: reason, At: in.cfg.Now().UTC().Truncate(time.Microsecond)}
	}
	if err := in.cfg.Store.PutQuarantined(ctx, in.stored, items); err != nil {
		return fmt.Errorf("storing in quarantine: %w", err)
	}
	in.counts.objects.WithLabelValues(outcomeOf[reason]).Add(float64(len(objects)))
	in.debt.owe(objects, reason)
	in.cfg.Log.WarnContext(ctx, "objects of a peer are quarantined", "feed", in.name, "peer", in.peer, "reason", reason, "objects", len(objects), "first", objects[0].ID)
	return in.countQuarantine(ctx)
}

// outcomeOf are the reasons as the metric has them.
var outcomeOf = map[string]string{Forked: "forked", CreatorNotAllowed: "creator_not_allowed", AfterRevocation: "after_revocation"}

// countQuarantine reads how many objects are held, for the report.
func (p *puller) countQuarantine(ctx context.Context) error {
	c, err := p.cfg.Store.CountQuarantined(ctx, p.stored)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.now.Quarantined, p.now.QuarantineOverflow = c.Held, c.Overflow
	p.mu.Unlock()
	p.counts.quarantined.Set(float64(c.Held))
	return nil
}
