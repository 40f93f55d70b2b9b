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

// maxStatements is the number of statement markings that are told.
const maxStatements = 1000

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
// the rule has learnt of, by their ids, one version of each: what it costs grows neither with what the collection holds, nor
// with the versions that a definition may have.
func (b linkBackend) statements(ctx context.Context, e *export, give func(id string)) error {
	known := e.statements.Load()
	if known == nil {
		return nil // Objects says that the rule is being read
	}
	left := maxStatements
	for part := range slices.Chunk(*known, store.MaxSelectors) {
		q := store.Query{IDs: part, NoContent: true, Versions: store.Versions{Last: true}, Limit: store.MaxSelectors}
		page, err := b.Objects(ctx, e.collection.ID, q)
		if err != nil {
			return err
		}
		for _, r := range page.Records[:min(left, len(page.Records))] {
			give(r.ID)
		}
		if left -= len(page.Records); left <= 0 {
			break
		}
	}
	return nil
}
