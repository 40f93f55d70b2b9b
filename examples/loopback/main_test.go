// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

func TestTheExampleRunsThrough(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), false, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, line := range []string{"link to alfa is up in both directions", "bravo received 1", "held back 1: TLPAboveCeiling: RED", "receipt is proven", "acknowledged by"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("the story does not say %q:\n%s", line, &out)
		}
	}
}
