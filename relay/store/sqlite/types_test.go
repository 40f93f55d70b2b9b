// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

// TestTypesThatAnEarlierReleaseStoredAreAdmitted: their objects may come again in other versions.
func TestTypesThatAnEarlierReleaseStoredAreAdmitted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	beforeStep(t, path, "0020", "INSERT INTO words (id, word) VALUES (1, 'c'), (2, 'x-old')",
		"INSERT INTO objects (seq, collection, stix_id, version, type, spec, raw) VALUES (5, 1, 'x-old--1', 0, 2, '2.1', x'01'), (6, 1, 'x-old--2', 0, 2, '2.1', x'01')")
	s := open(t, path)
	var names []string
	for n := range store.MaxTypes {
		names = append(names, fmt.Sprintf("x-type-%04d", n))
	}
	refused, err := s.AdmitTypes(t.Context(), "c", append(names, "x-old"))
	if err != nil || !slices.Equal(refused, names[store.MaxTypes-1:]) {
		t.Errorf("refused are %v, %v", refused, err)
	}
}
