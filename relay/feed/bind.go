// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"maps"
	"slices"

	"github.com/certlink/certlink/relay/rule"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// maxReferences is the largest number of references to one object that are looked at. What
// is beyond is not understood, and binds as AMBER+STRICT.
const maxReferences = store.MaxRecords

// bind asks which other objects of the same source bind those of the batch: the
// containers of what has no marking of its own, and the contents of containers. And
// where something strict is decided, the containers that are shared are decided again.
func (b *batch) bind(ctx context.Context) error {
	bare, strict := map[string][]int{}, map[string][]int{}
	for i, o := range b.objects {
		source := b.records[i].Collection
		if o.ID == "" || !b.e.relates[source] && !containers[o.Type] {
			continue
		}
		level, own := b.policy.Level(b.questions[i].Source, o)
		if !own {
			bare[source] = append(bare[source], i)
		}
		if b.policy.Above(level) {
			strict[source] = append(strict[source], i)
		}
		if !containers[o.Type] {
			continue
		}
		bound, err := b.strictest(ctx, source, contents(o))
		if err != nil {
			return err
		}
		b.questions[i].Content = bound
	}
	for source, all := range bare {
		if err := b.bindBare(ctx, source, all); err != nil {
			return err
		}
	}
	for source, all := range strict {
		if err := b.lapseContainers(ctx, source, all); err != nil {
			return err
		}
	}
	return nil
}

// strictest is the strictest stored version of objects of a source. It looks no
// further: what these contain in turn binds these.
func (b *batch) strictest(ctx context.Context, source string, ids []string) (rule.Bound, error) {
	var bound rule.Bound
	for part := range slices.Chunk(ids, store.MaxSelectors) {
		q := store.Query{IDs: part, Limit: decideAtOnce}
		for {
			page, err := b.cfg.Store.ListObjects(ctx, source, q)
			if err != nil {
				return bound, err
			}
			for _, r := range page.Records {
				o, err := stix.Parse(r.Raw)
				if err != nil {
					continue
				}
				// What has no marking of its own demands nothing of others.
				if level, own := b.policy.Level(b.e.sources[source], o); own {
					bound = bound.Stricter(rule.Bound{Level: level, ID: o.ID})
				}
			}
			if q.After = page.Next; page.Next == 0 {
				break
			}
		}
	}
	return bound, nil
}

// referring returns what refers to objects of a source, by the object that it refers to,
// and to which objects more refers than that.
func (b *batch) referring(ctx context.Context, source string, ids []string, kind string) (from map[string][]string, more map[string]bool, err error) {
	from, more = map[string][]string{}, map[string]bool{}
	for part := range slices.Chunk(ids, store.MaxSelectors) {
		found, err := b.cfg.Store.ReferencesTo(ctx, source, part, maxReferences)
		if err != nil {
			return nil, nil, err
		}
		if len(found) == maxReferences && len(part) > 1 {
			// Whose they are is asked of each by itself: the others are not bound by them.
			if found, err = b.referringEach(ctx, source, part, more); err != nil {
				return nil, nil, err
			}
		} else if len(found) == maxReferences {
			more[part[0]] = true
		}
		for _, r := range found {
			if r.Kind == kind {
				from[r.To] = append(from[r.To], r.From)
			}
		}
	}
	return from, more, nil
}

// referringEach asks for each object by itself. Those to which more refers it puts into more.
func (b *batch) referringEach(ctx context.Context, source string, ids []string, more map[string]bool) ([]store.Reference, error) {
	var all []store.Reference
	for _, id := range ids {
		found, err := b.cfg.Store.ReferencesTo(ctx, source, []string{id}, maxReferences)
		if err != nil {
			return nil, err
		}
		if len(found) == maxReferences {
			more[id] = true
		}
		all = append(all, found...)
	}
	return all, nil
}

func (b *batch) bindBare(ctx context.Context, source string, indexes []int) error {
	from, more, err := b.referring(ctx, source, b.idsOf(indexes), kindContains)
	if err != nil {
		return err
	}
	known := map[string]map[string]rule.Bound{}
	for _, i := range indexes {
		bound := &b.questions[i].Container
		if more[b.objects[i].ID] {
			*bound = rule.Bound{Level: rule.AmberStrict, ID: b.objects[i].ID}
			continue // it is above every ceiling
		}
		for _, id := range from[b.objects[i].ID] {
			if known[id] == nil {
				if known[id], err = b.demands(ctx, source, id); err != nil {
					return err
				}
			}
			*bound = bound.Stricter(known[id][b.objects[i].ID])
		}
	}
	return nil
}

// demands are what the stored versions of a container demand of each object that they
// name. A version that does not name it any more demands nothing of it.
func (b *batch) demands(ctx context.Context, source, container string) (map[string]rule.Bound, error) {
	all := map[string]rule.Bound{}
	q := store.Query{IDs: []string{container}, Limit: decideAtOnce}
	for {
		page, err := b.cfg.Store.ListObjects(ctx, source, q)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Records {
			o, err := stix.Parse(r.Raw)
			if err != nil {
				continue
			}
			level, own := b.policy.Level(b.e.sources[source], o)
			if !own {
				continue
			}
			for _, id := range contents(o) {
				all[id] = all[id].Stricter(rule.Bound{Level: level, ID: container})
			}
		}
		if q.After = page.Next; page.Next == 0 {
			return all, nil
		}
	}
}

// lapseContainers lets the shared containers of what is above the ceiling be decided
// again. One that is held is left as it is, so that this comes to an end.
func (b *batch) lapseContainers(ctx context.Context, source string, indexes []int) error {
	from, _, err := b.referring(ctx, source, b.idsOf(indexes), kindContains)
	if err != nil {
		return err
	}
	found := map[string]bool{}
	for _, ids := range from {
		for _, id := range ids {
			found[id] = true
		}
	}
	var open []string
	for _, id := range slices.Sorted(maps.Keys(found)) {
		versions, err := b.cfg.Store.Explain(ctx, b.view, []string{source}, id, maxVersions)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(versions, func(v store.Explained) bool { return v.Share && v.Rule == b.hash }) {
			open = append(open, id)
		}
	}
	if len(open) == 0 {
		return nil
	}
	return b.cfg.Store.Lapse(ctx, source, open)
}

func (b *batch) idsOf(indexes []int) []string {
	seen := map[string]bool{}
	for _, i := range indexes {
		seen[b.objects[i].ID] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// findVictims asks which identities of the batch are victims', in any source.
func (b *batch) findVictims(ctx context.Context) error {
	if b.victims = map[string]bool{}; !b.e.redaction.Victims() {
		return nil
	}
	var ids []string
	for _, o := range b.objects {
		if o.Type == "identity" {
			ids = append(ids, o.ID)
		}
	}
	for _, source := range b.e.stored {
		from, more, err := b.referring(ctx, source, ids, kindVictim)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if len(from[id]) > 0 || more[id] {
				b.victims[id] = true
			}
		}
	}
	return nil
}
