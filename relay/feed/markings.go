// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"slices"

	"github.com/certlink/certlink/relay/rule"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/taxii"
)

const (
	// maxStatements is the number of statement markings that are told.
	maxStatements = 1000
	// maxLooks is how many pages are looked through for them.
	maxLooks = 1000
)

// Markings implements taxii.Marked: what the export's rule lets the caller see. Of the
// rule it tells what an answer shows anyway; of statements those alone whose definition
// is shared with the caller. Who else reads the export it does not tell.
func (b linkBackend) Markings(ctx context.Context, id string) (taxii.Markings, error) {
	e, _, err := b.visible(ctx, id)
	if err != nil {
		return taxii.Markings{}, err
	}
	ceiling, err := rule.ParseLevel(e.Rule.MaxTLP)
	if err != nil {
		return taxii.Markings{}, err
	}
	var m taxii.Markings
	for level := rule.Clear; level <= ceiling; level++ {
		m.TLPLevels = append(m.TLPLevels, level.String())
	}
	for _, id := range rule.TLPMarkings() {
		if level, _ := rule.LevelOf(id); level <= ceiling {
			m.MarkingRefs = append(m.MarkingRefs, id)
		}
	}
	if m.Types = slices.Clone(e.Rule.Types); len(m.Types) > 0 {
		slices.Sort(m.Types)
	}
	// A definition that is neither TLP nor a plain statement is never shared.
	err = b.statements(ctx, id, func(id string) {
		if _, ok := rule.LevelOf(id); !ok && !slices.Contains(m.MarkingRefs, id) {
			m.MarkingRefs = append(m.MarkingRefs, id)
		}
	})
	if err != nil {
		return taxii.Markings{}, err
	}
	return m, nil
}

// statements gives the ids of the first marking definitions that the caller may see. A page of few
// among very many objects may hold none though more follow.
func (b linkBackend) statements(ctx context.Context, id string, give func(id string)) error {
	q := store.Query{Types: []string{stix.TypeMarkingDefinition}, NoContent: true, Limit: maxStatements}
	for range maxLooks {
		page, err := b.Objects(ctx, id, q)
		if err != nil {
			return err
		}
		for _, r := range page.Records {
			give(r.ID)
		}
		if q.Limit -= len(page.Records); page.Next == 0 || q.Limit <= 0 {
			return nil
		}
		q.After = page.Next
	}
	return nil
}
