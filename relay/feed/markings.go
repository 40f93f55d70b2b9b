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
	page, err := b.Objects(ctx, id, store.Query{Types: []string{stix.TypeMarkingDefinition}, NoContent: true, Limit: maxStatements})
	if err != nil {
		return taxii.Markings{}, err
	}
	for _, r := range page.Records {
		if _, ok := rule.LevelOf(r.ID); !ok && !slices.Contains(m.MarkingRefs, r.ID) {
			m.MarkingRefs = append(m.MarkingRefs, r.ID)
		}
	}
	return m, nil
}
