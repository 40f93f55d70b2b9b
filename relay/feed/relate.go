// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// Kinds of references, as the store keeps them.
const (
	kindContains = "contains"
	kindVictim   = "victim"
)

// containers are the types whose object_refs name other objects as what they are about.
var containers = map[string]bool{"report": true, "grouping": true, "observed-data": true, "note": true, "opinion": true}

// victimTypes are those that tell who is a victim.
var victimTypes = []string{"relationship", "sighting"}

// relate learns from the sources which objects others contain, and who are victims,
// before anything is decided that depends on it. It reads what was not read yet. A
// crash before the references are stored has them read again.
func (x *exporter) relate(ctx context.Context, e *export) error {
	types := slices.Clone(victimTypes)
	if !e.redaction.Victims() {
		types = types[:0]
	}
	for typ := range containers {
		types = append(types, typ)
	}
	slices.Sort(types)
	for _, source := range e.stored {
		if err := x.relateSource(ctx, e, source, types); err != nil {
			return err
		}
	}
	return nil
}

// unrelated tells whether a record lies behind what relate has read of its source: what
// was stored with it may not be known.
func (e *export) unrelated(r store.Record) bool {
	_, ok := e.sources[r.Collection]
	return ok && r.Seq > e.related[relatedName(r.Collection, e.redaction.Victims())]
}

// relateSource reads one source on from where it was read to. How far that is, is
// stored with what was found, as the cursor of a collection of that name without objects.
//
//	store references → take back the decisions about what they name → store how far it was read
func (x *exporter) relateSource(ctx context.Context, e *export, source string, types []string) error {
	mark := relatedName(source, len(types) > len(containers))
	from, known := e.related[mark]
	if !known {
		text, err := x.cfg.Store.Cursor(ctx, mark)
		if err != nil {
			return err
		}
		from, _ = strconv.ParseInt(text, 10, 64) // nothing is 0: the beginning
		e.related[mark] = from
		e.relates[source] = from > 0
	}
	q := store.Query{Types: types, After: from, Limit: decideAtOnce}
	for {
		page, err := x.cfg.Store.ListObjects(ctx, source, q)
		if err != nil {
			return err
		}
		if n := len(page.Records); n > 0 {
			e.relates[source] = true
			if err := x.keepReferences(ctx, e, source, page.Records); err != nil {
				return err
			}
			e.related[mark] = page.Records[n-1].Seq
			if _, err := x.cfg.Store.PutObjects(ctx, mark, nil, strconv.FormatInt(e.related[mark], 10)); err != nil {
				return err
			}
		}
		if page.Next == 0 {
			return nil
		}
		e.related[mark] = max(e.related[mark], page.Next)
		q.After = page.Next
	}
}

func (x *exporter) keepReferences(ctx context.Context, e *export, source string, records []store.Record) error {
	var found []store.Reference
	for _, r := range records {
		if o, err := stix.Parse(r.Raw); err == nil {
			found = append(found, references(o)...)
		}
	}
	for part := range slices.Chunk(found, store.MaxRecords) {
		if err := x.cfg.Store.PutReferences(ctx, source, part); err != nil {
			return err
		}
		// Also where the reference is known: another version may be stricter.
		ids, victims := make([]string, 0, len(part)), []string(nil)
		for _, r := range part {
			if r.Kind == kindContains {
				ids = append(ids, r.To)
			} else {
				victims = append(victims, r.To)
			}
		}
		if err := x.cfg.Store.Lapse(ctx, source, ids); err != nil {
			return err
		}
		if err := x.lapseElsewhere(ctx, e, source, victims); err != nil {
			return err
		}
	}
	return nil
}

// lapseElsewhere has victims decided again that lie in other sources than what names
// them. PutReferences has done it in this one.
func (x *exporter) lapseElsewhere(ctx context.Context, e *export, source string, victims []string) error {
	for _, other := range e.stored {
		if other == source || len(victims) == 0 {
			continue
		}
		if err := x.cfg.Store.Lapse(ctx, other, victims); err != nil {
			return err
		}
	}
	return nil
}

func relatedName(source string, withVictims bool) string {
	if withVictims {
		return "related+victims/" + source
	}
	return "related/" + source
}

// references are those of an object on which decisions about others depend.
func references(o stix.Object) []store.Reference {
	var all []store.Reference
	switch {
	case containers[o.Type]:
		for _, id := range contents(o) {
			all = append(all, store.Reference{Kind: kindContains, From: o.ID, To: id})
		}
	case slices.Contains(victimTypes, o.Type):
		for _, id := range victims(o) {
			all = append(all, store.Reference{Kind: kindVictim, From: o.ID, To: id})
		}
	}
	return all
}

// contents are the distinct objects that a container names.
func contents(o stix.Object) []string {
	var ids []string
	stix.Members(o.Raw, func(name, value []byte) bool {
		if string(name) == "object_refs" {
			ids = identifiers(stix.Strings(value))
		}
		return true
	})
	return ids
}

// victims are the identities that a relationship names as a target, or a sighting as
// where something was seen.
func victims(o stix.Object) []string {
	var kind, target string
	var all []string
	stix.Members(o.Raw, func(name, value []byte) bool {
		switch string(name) {
		case "relationship_type":
			kind = string(stix.Unquote(value))
		case "target_ref":
			target = string(stix.Unquote(value))
		case "where_sighted_refs":
			all = append(all, stix.Strings(value)...)
		}
		return true
	})
	if kind == "targets" || kind == "victim" {
		all = append(all, target)
	}
	return slices.DeleteFunc(identifiers(all), func(id string) bool { return !strings.HasPrefix(id, "identity--") })
}

func identifiers(all []string) []string {
	all = slices.DeleteFunc(all, func(id string) bool {
		_, ok := stix.SplitID(id)
		return !ok
	})
	slices.Sort(all)
	return slices.Compact(all)
}
