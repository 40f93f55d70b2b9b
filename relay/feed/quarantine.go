// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"fmt"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// states are those of an item, as the desk says them.
var states = map[store.ItemState]string{store.Held: "Held", store.Accepted: "Accepted", store.Dropped: "Dropped"}

// importOf finds the import with a name.
func (e *Engine) importOf(name string) (*importer, error) {
	for _, i := range e.importers() {
		if i.name == name {
			return i, nil
		}
	}
	return nil, fmt.Errorf("import %q: %w", name, store.ErrNotFound)
}

// Quarantined implements desk.Quarantiner.
func (e *Engine) Quarantined(ctx context.Context, q desk.QuarantineQuery) (desk.Quarantine, error) {
	i, err := e.importOf(q.Feed)
	if err != nil {
		return desk.Quarantine{}, err
	}
	if _, ok := stix.SplitID(q.Object); !ok && q.Object != "" {
		return desk.Quarantine{}, &desk.InvalidError{Faults: []desk.Fault{{Field: "object", Reason: "is no STIX identifier, such as indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}}}
	}
	counts, err := e.cfg.Store.CountQuarantined(ctx, i.stored)
	if err != nil {
		return desk.Quarantine{}, err
	}
	page, err := e.cfg.Store.ListQuarantined(ctx, store.QuarantineQuery{
		Collection: i.stored, ID: q.Object, Settled: q.Settled, After: q.After, NoContent: q.Object == "", Limit: q.Limit,
	})
	if err != nil {
		return desk.Quarantine{}, err
	}
	out := desk.Quarantine{Feed: q.Feed, Held: counts.Held, Bytes: counts.Bytes, Overflow: counts.Overflow, Items: []desk.QuarantineItem{}, Next: page.Next}
	for _, item := range page.Items {
		out.Items = append(out.Items, said(item))
	}
	return out, nil
}

// Settle implements desk.Quarantiner. Who settled what stays in the store. A revocation
// that is accepted counts as one that came so:
//
//	take back what is revoked, note the revocation → settle
//
// A crash in between leaves the item as it was, to be settled again.
func (e *Engine) Settle(ctx context.Context, req desk.SettleRequest) (desk.QuarantineItem, error) {
	i, err := e.importOf(req.Feed)
	if err != nil {
		return desk.QuarantineItem{}, err
	}
	state := store.Dropped
	if req.Accept {
		state = store.Accepted
		if err := i.revokeAs(ctx, req.Item); err != nil {
			return desk.QuarantineItem{}, err
		}
	}
	item, err := e.cfg.Store.SettleQuarantined(ctx, i.stored, req.Item, state, req.Officer)
	if err != nil {
		return desk.QuarantineItem{}, err
	}
	i.mu.Lock()
	if req.Accept && len(item.Raw) == 0 {
		i.now.Stored++ // it replaced nothing
	}
	i.mu.Unlock()
	err = i.countQuarantine(ctx)
	i.show(true)
	return said(item), err
}

// revokeAs revokes an object as an item that is held says, if it does.
func (i *importer) revokeAs(ctx context.Context, item int64) error {
	page, err := i.cfg.Store.ListQuarantined(ctx, store.QuarantineQuery{Collection: i.stored, After: item - 1, Limit: 1})
	if err != nil || len(page.Items) == 0 || page.Items[0].Seq != item {
		return err
	}
	// What does not parse was never held.
	o, _ := stix.Parse(page.Items[0].Raw)
	return (&intake{puller: i.puller}).revoke(ctx, revocations([]stix.Object{o}))
}

func said(item store.Quarantined) desk.QuarantineItem {
	return desk.QuarantineItem{
		Item: item.Seq, Object: item.ID, Version: item.Version, Reason: item.Reason, Since: item.At,
		State: states[item.State], SettledAt: item.SettledAt, SettledBy: item.SettledBy, Content: item.Raw,
	}
}
