// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"fmt"
	"testing"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// TestAPeerMakesUpABoundedNumberOfTypes: their names are kept for good.
func TestAPeerMakesUpABoundedNumberOfTypes(t *testing.T) {
	alfa, bravo, _ := signed(t)
	const beyond = 5
	var all []stix.Object
	for n := range store.MaxTypes + beyond {
		typ := fmt.Sprintf("x-made-up-%d", n)
		raw := fmt.Sprintf(`{"type":%q,"spec_version":"2.1","id":"%s--00000000-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00.000Z",`+
			`"modified":"2026-01-01T00:00:00.000Z","object_marking_refs":[%q]}`, typ, typ, clearID)
		all = append(all, mustParse(t, raw))
	}
	if _, err := alfa.store.PutObjects(t.Context(), sourceName("threats", "own"), records(all), ""); err != nil {
		t.Fatal(err)
	}
	alfa.Stored()
	eventually(t, "bravo has as many as it may, and has refused the others", func() bool {
		i := importOf(t, bravo)
		return i.Stored == store.MaxTypes && i.Refused == beyond
	})
	push(t, alfa, "own", envelope(indicator(1, clearID)))
	eventually(t, "what has a type of STIX comes all the same", func() bool { return importOf(t, bravo).Stored == store.MaxTypes+1 })
	// Of what comes at once, the types that stand first in the alphabet find room.
	eventually(t, "alfa knows why the others were refused", func() bool {
		list, err := alfa.store.Refusals(t.Context(), "threats", bravoTD, all[999].ID, 10)
		return err == nil && len(list) == 1 && list[0].Reason == TooManyTypes
	})
}
