// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"slices"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// dependents are objects, by stored collection, that were decided by looking at others.
type dependents map[string][]string

// lapseWithin is how many dependents at most lapse in the transaction of a deletion alone. Of more, most have
// lapsed before, so that the others wait for it only as long as it takes to see that.
const lapseWithin = 500

// size is how many these are.
func (d dependents) size() (n int) {
	for _, ids := range d {
		n += len(ids)
	}
	return n
}

// all are these, each once.
func (d dependents) all() (list []store.Dependents) {
	for collection, ids := range d {
		slices.Sort(ids)
		list = append(list, store.Dependents{Collection: collection, IDs: slices.Compact(ids)})
	}
	return list
}

// lapse has them decided again.
func (d dependents) lapse(ctx context.Context, s Store) error {
	for collection, ids := range d {
		for part := range slices.Chunk(ids, store.MaxRecords) {
			if err := s.Lapse(ctx, collection, part); err != nil {
				return err
			}
		}
	}
	return nil
}

// deleteObjects deletes what a query selects from a source, and has decided again what
// was decided by looking at it.
//
//  1. whom the records name as a victim is noted    crash after: noted, which does no harm
//  2. very many dependents lapse                    crash after: they are decided again, as before
//  3. some of the records go, and the dependents    crash after: what is gone is gone, and what was decided by
//     lapse with them, until none is left           looking at it is decided again; the rest stays
//
// Decisions about dependents that are stored after 3 lapse as they are stored: their basis (store.Basis) counts fewer
// deletions.
func (e *Engine) deleteObjects(ctx context.Context, stored string, q store.Query) (total int, err error) {
	q.Limit = store.MaxRecords
	if err := e.keepVictims(ctx, stored, q); err != nil {
		return 0, err
	}
	d, err := e.dependents(ctx, stored, q)
	if err == nil && d.size() > lapseWithin {
		err = d.lapse(ctx, e.cfg.Store)
	}
	if err != nil {
		return 0, err
	}
	for all := d.all(); ; {
		n, err := e.cfg.Store.DeleteObjects(ctx, stored, q, all...)
		if total += n; err != nil || n < q.Limit {
			return total, err
		}
	}
}

// dependents of records of a source are the containers that name them, what they name
// themselves, and our notes about them.
func (e *Engine) dependents(ctx context.Context, stored string, q store.Query) (dependents, error) {
	d := dependents{}
	for part := range slices.Chunk(q.IDs, store.MaxSelectors) {
		found, err := e.cfg.Store.ReferencesTo(ctx, stored, part, maxReferences)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			d[stored] = append(d[stored], r.From)
		}
	}
	if err := e.namedBy(ctx, stored, q, d); err != nil {
		return nil, err
	}
	p := e.live.Load()
	for _, x := range p.exports {
		policy := x.current()
		if policy == nil || !policy.Territorial() || !slices.Contains(x.stored, stored) {
			continue
		}
		if err := e.notesAbout(ctx, p, x, stored, q, d); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (e *Engine) notesAbout(ctx context.Context, p *plan, x *export, stored string, q store.Query, d dependents) error {
	q.NoContent = true
	for {
		page, err := e.cfg.Store.ListObjects(ctx, stored, q)
		if err != nil {
			return err
		}
		for _, reader := range p.readers(x) {
			to := noteName(x.Name, reader.TrustDomain)
			for _, r := range page.Records {
				d[to] = append(d[to], noteID(p.author, store.View{Feed: x.Name, Peer: reader.TrustDomain}, r.ID, r.Version))
			}
		}
		if q.After = page.Next; page.Next == 0 {
			return nil
		}
	}
}

// namedBy adds what containers among the records name.
func (e *Engine) namedBy(ctx context.Context, stored string, q store.Query, d dependents) error {
	q.IDs = slices.DeleteFunc(slices.Clone(q.IDs), func(id string) bool {
		typ, _ := stix.SplitID(id)
		return !containers[typ]
	})
	for len(q.IDs) > 0 {
		page, err := e.cfg.Store.ListObjects(ctx, stored, q)
		if err != nil {
			return err
		}
		for _, r := range page.Records {
			if o, err := stix.Parse(r.Raw); err == nil {
				d[stored] = append(d[stored], contents(o)...)
			}
		}
		if q.After = page.Next; page.Next == 0 {
			return nil
		}
	}
	return nil
}
