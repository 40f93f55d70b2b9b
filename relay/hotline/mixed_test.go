// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"slices"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

func TestAMessageWithAWordOfSeveralScripts(t *testing.T) {
	bubble(t, "is_taken_and_has_a_mark", func(t *testing.T, w *world) {
		r := request(ulidFor(0, 0), "From \u0430lfa.example")
		r.Officer, r.Text = "Offi\u0441er One", "see p\u0430yments.example"
		w.alfa.send(r)
		w.alfa.send(request(ulidFor(0, 1), "\u0410\u0442\u0430\u043a\u0430 of plain words"))
		w.pass(1)
		if got := w.bravo.list(store.In); len(got) != 2 || got[0].MixedScripts != nil || !slices.Equal(got[1].MixedScripts, []string{"subject", "officer"}) {
			t.Errorf("the list is %+v", got)
		}
		m, err := w.bravo.engine().Get(t.Context(), store.In, "alfa.example", ulidFor(0, 0))
		if want := []string{"subject", "officer", "text"}; err != nil || !slices.Equal(m.MixedScripts, want) {
			t.Errorf("%v, want %v, %v", m.MixedScripts, want, err)
		}
	})
}
