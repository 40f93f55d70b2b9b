// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/stix"
)

// TestAnAcceptedRevocationIsFinal: what follows it, and is not revoked, is held like what
// follows one that was never in quarantine.
func TestAnAcceptedRevocationIsFinal(t *testing.T) {
	revoked, later, latest := by(1, `"revoked":true`), ofDay(1, 3, `"x":1`), ofDay(1, 4, `"x":1`)
	for _, accept := range []bool{true, false} {
		bravo := side(t, filepath.Join(t.TempDir(), "bravo.db"), scripted(t, given(indicator(1), revoked, later)))
		bravo.Apply(bound())
		eventually(t, "the fork is held", func() bool { return importOf(t, bravo).Quarantined == 1 && !importOf(t, bravo).LastSuccess.IsZero() })
		request := desk.SettleRequest{Feed: "from-alfa", Item: quarantined(t, bravo).Items[0].Item, Accept: accept, Officer: "officer"}
		if _, err := bravo.Settle(t.Context(), request); err != nil {
			t.Fatal(err)
		}
		in := &intake{puller: bravo.importers()[0].puller}
		if err := in.put(t.Context(), []stix.Object{mustParse(t, latest)}, ""); err != nil {
			t.Fatal(err)
		}
		want := []string{indicator(1), later, latest}
		if accept {
			want = []string{revoked}
		}
		if diff := cmp.Diff(want, everything(t, bravo)); diff != "" {
			t.Errorf("accepted %t: stored (-want +got):\n%s", accept, diff)
		}
		if got := importOf(t, bravo).Stored; accept && got != 1 {
			t.Errorf("%d are counted", got)
		}
	}
}
