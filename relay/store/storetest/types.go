// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

var typesTests = map[string]func(t *testing.T, e env){
	"admits_so_many_types_to_a_collection_and_no_more":  admitsTypes,
	"admits_no_more_types_when_many_ask_at_once":        admitsTypesAtOnce,
	"refuses_what_is_out_of_bounds_of_a_call_for_types": typesLimits,
}

// typeNames are n names from the first.
func typeNames(first, n int) []string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("x-type-%05d", first+i))
	}
	return list
}

func mustAdmit(t *testing.T, s store.Store, collection string, types ...string) []string {
	t.Helper()
	refused, err := s.AdmitTypes(t.Context(), collection, types)
	must(t, err)
	return refused
}

func admitsTypes(t *testing.T, e env) {
	same(t, "at first", mustAdmit(t, e, "c", typeNames(0, 600)...), []string(nil))
	same(t, "again, and twice in one call", mustAdmit(t, e, "c", append(typeNames(0, 600), typeNames(599, 2)...)...), []string(nil))
	mixed := append(typeNames(590, 20), typeNames(1000, 500)...)
	refused := mustAdmit(t, e, "c", mixed...)
	same(t, "beyond the bound", refused, typeNames(1390, 110))
	again := e.reopen(t, Options{})
	same(t, "refused again", mustAdmit(t, again, "c", append(refused[:5:5], typeNames(0, 5)...)...), refused[:5])
	same(t, "known for good", mustAdmit(t, again, "c", append(typeNames(0, 601), typeNames(1000, 390)...)...), []string(nil))
	same(t, "in another collection", mustAdmit(t, again, "d", refused...), []string(nil))
}

func admitsTypesAtOnce(t *testing.T, e env) {
	const callers, each = 4, 400
	refused := make([][]string, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			var err error
			if refused[i], err = e.AdmitTypes(t.Context(), "c", typeNames(i*each, each)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	same(t, "refused", len(slices.Concat(refused...)), callers*each-store.MaxTypes)
	for _, list := range refused {
		if len(list) == 0 {
			continue
		}
		same(t, "refused for good", mustAdmit(t, e, "c", list...), list)
	}
}

func typesLimits(t *testing.T, e env) {
	if _, err := e.AdmitTypes(t.Context(), "c", make([]string, store.MaxRecords+1)); err == nil {
		t.Error("too many at once are taken")
	}
	same(t, "none", mustAdmit(t, e, "c"), []string(nil))
}
