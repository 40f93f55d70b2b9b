// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// TooManyTypes is why an object of a type that is not of STIX 2.1 is refused: its collection has
// store.MaxTypes of these already.
const TooManyTypes = "TooManyTypes"

// ofAdmittedTypes takes out of what came in the objects of types for which there is no room. The store
// keeps the names of types for good, and they are what others choose.
func (in *intake) ofAdmittedTypes(ctx context.Context, objects []stix.Object) ([]stix.Object, error) {
	var strange map[string]bool
	for _, o := range objects {
		if !stix.Standard(o.Type) && !in.admitted[o.Type] {
			if strange == nil {
				strange = map[string]bool{}
			}
			strange[o.Type] = true
		}
	}
	if len(strange) == 0 {
		return objects, nil
	}
	refused := map[string]bool{}
	for part := range slices.Chunk(slices.Sorted(maps.Keys(strange)), store.MaxRecords) {
		list, err := in.cfg.Store.AdmitTypes(ctx, in.stored, part)
		if err != nil {
			return nil, fmt.Errorf("storing objects: %w", err)
		}
		for _, t := range list {
			refused[t] = true
		}
	}
	if in.admitted == nil {
		in.admitted = map[string]bool{}
	}
	for t := range strange {
		if !refused[t] {
			in.admitted[t] = true
		}
	}
	if len(refused) == 0 {
		return objects, nil
	}
	return in.withoutTypes(ctx, objects, refused), nil
}

// withoutTypes refuses the objects of these types, and says so: to the peer in the receipt.
func (in *intake) withoutTypes(ctx context.Context, objects []stix.Object, refused map[string]bool) []stix.Object {
	kept := make([]stix.Object, 0, len(objects))
	for _, o := range objects {
		if !refused[o.Type] {
			kept = append(kept, o)
			continue
		}
		in.refuse(ctx, "too_many_types", fmt.Errorf("%q: its type is not of STIX 2.1, and %d such types are known here", o.ID, store.MaxTypes))
		in.debt.owe([]stix.Object{o}, TooManyTypes)
	}
	return kept
}
