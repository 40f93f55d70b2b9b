// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"slices"

	"github.com/certlink/certlink/relay/rule"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/taxii"
)

const (
	// maxStatements is the number of statement markings that are told.
	maxStatements = 1000
	// maxLooks is how many pages are read for them: one for each hundred that an export may have, and some.
	maxLooks = 2 * maxDefinitions / store.MaxSelectors
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
	err = b.statements(ctx, e, func(id string) {
		if _, ok := rule.LevelOf(id); !ok && !slices.Contains(m.MarkingRefs, id) {
			m.MarkingRefs = append(m.MarkingRefs, id)
		}
	})
	if err != nil {
		return taxii.Markings{}, err
	}
	return m, nil
}

// statements gives the ids of the first marking definitions that the caller may see. It asks for those that
// the rule has learnt of, by their ids: what it costs does not grow with what the collection holds.
func (b linkBackend) statements(ctx context.Context, e *export, give func(id string)) error {
	known := e.statements.Load()
	if known == nil {
		return nil // Objects says that the rule is being read
	}
	looks, left, told := maxLooks, maxStatements, map[string]bool{}
	for part := range slices.Chunk(*known, store.MaxSelectors) {
		q := store.Query{IDs: part, NoContent: true, Limit: store.MaxSelectors}
		for ; looks > 0 && left > 0; looks-- {
			page, err := b.Objects(ctx, e.collection.ID, q)
			if err != nil {
				return err
			}
			for _, r := range page.Records { // of one there may be several versions
				if !told[r.ID] && left > 0 {
					told[r.ID] = true
					left--
					give(r.ID)
				}
			}
			if page.Next == 0 {
				break
			}
			q.After = page.Next
		}
	}
	return nil
}
