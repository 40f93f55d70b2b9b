// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"maps"
	"slices"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// decideLease is the name of the lease of decisions: one replica decides about all
// exports. Two whose territory data differ would decide against each other for ever.
const decideLease = "decide"

// lead lets the exporter decide until ctx, which is under the lease, ends. It returns
// when no decision is under way any more.
func (x *exporter) lead(ctx context.Context) {
	x.busy.Lock()
	x.leading = func() context.Context { return ctx }
	x.busy.Unlock()
	x.heard.Store(true)
	x.wake()
	<-ctx.Done()
	x.busy.Lock()
	x.leading = nil
	x.busy.Unlock()
	x.wake()
}

// round is one look at all exports. It tells whether nothing failed, and whether this
// replica should soon look again for what another does.
func (x *exporter) round(ctx context.Context) (ok, watch bool) {
	x.busy.Lock()
	defer x.busy.Unlock()
	if x.leading != nil {
		ctx := x.leading()
		ok = x.pass(ctx)
		if ok && ctx.Err() == nil {
			if err := x.tidy(ctx, x.live.Load()); err != nil {
				x.cfg.Log.DebugContext(ctx, "letting go of what peers were told long ago failed", "error", err)
			}
		}
		return ok, false
	}
	return x.follow(ctx)
}

// follow knows the rule, so that what another replica has decided is shown to peers
// here, and looks at the counts. It decides nothing.
func (x *exporter) follow(ctx context.Context) (ok, watch bool) {
	p := x.live.Load()
	failed := x.hear(ctx, p)
	for _, e := range p.exports {
		if failed[e] == nil && e.current() == nil {
			if _, err := x.learn(ctx, e); err != nil {
				failed[e] = err
			}
		}
	}
	if ctx.Err() != nil {
		return true, false
	}
	x.show(ctx, failed)
	return len(failed) == 0, x.waiting()
}

// waiting tells whether something is to be decided, so that the counts will change.
func (x *exporter) waiting() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, counted := range x.counts {
		if counted.Undecided > 0 {
			return true
		}
	}
	return false
}

// hear learns the policies anew for which another replica has stored or deleted marking
// definitions. It returns the exports of which it could not tell.
func (x *exporter) hear(ctx context.Context, p *plan) map[*export]error {
	failed := map[*export]error{}
	if !x.heard.Swap(false) {
		return failed
	}
	for _, e := range p.exports {
		if e.current() == nil {
			continue // it is learned anyway
		}
		differ, err := x.otherDefinitions(ctx, e)
		if err == nil && differ {
			_, err = x.learn(ctx, e)
		}
		if err != nil {
			failed[e] = err
			x.heard.Store(true)
		}
	}
	return failed
}

// otherDefinitions tells whether the sources have other marking definitions than those
// that the policy has seen. It looks for these by their ids, and at what came after them.
func (x *exporter) otherDefinitions(ctx context.Context, e *export) (bool, error) {
	ids := map[string]bool{}
	for _, id := range e.definitions {
		ids[id] = true
	}
	left := len(e.definitions)
	for _, name := range e.stored {
		for part := range slices.Chunk(slices.Sorted(maps.Keys(ids)), store.MaxSelectors) {
			known, other, err := x.compareDefinitions(ctx, e, name, store.Query{IDs: part})
			if err != nil || other {
				return other, err
			}
			left -= known
		}
		q := store.Query{Types: []string{stix.TypeMarkingDefinition}, After: e.defined[name]}
		if _, other, err := x.compareDefinitions(ctx, e, name, q); err != nil || other {
			return other, err
		}
	}
	return left != 0, nil
}

// compareDefinitions counts what q finds that the policy has seen, and tells whether it
// finds what the policy has not.
func (x *exporter) compareDefinitions(ctx context.Context, e *export, source string, q store.Query) (known int, other bool, err error) {
	for q.NoContent, q.Limit = true, 1000; ; {
		page, err := x.cfg.Store.ListObjects(ctx, source, q)
		if err != nil {
			return 0, false, err
		}
		if other = slices.ContainsFunc(page.Records, e.unseen) && len(e.definitions) < maxDefinitions; other {
			return 0, true, nil
		}
		for _, r := range page.Records {
			if !e.unseen(r) {
				known++
			}
		}
		if page.Next == 0 {
			return known, false, nil
		}
		if q.After = page.Next; len(q.IDs) == 0 {
			e.defined[source] = max(e.defined[source], page.Next)
		}
	}
}
