// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package rule

import (
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/config"
)

func TestTheExpressionMustBeTrueBesidesAllElse(t *testing.T) {
	sources := []config.Source{{Name: "open", UnmarkedAs: "CLEAR"}}
	p, err := NewPolicy(config.Rule{MaxTLP: "GREEN", CEL: `object.confidence >= 50`}, sources, nil)
	if err != nil {
		t.Fatal(err)
	}
	object := func(rest string) string {
		return `{"type":"indicator","id":"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"` + rest + `}`
	}
	for name, c := range map[string]struct {
		rest string
		want Verdict
	}{
		"a_true_one_allows":         {`,"confidence":50`, Verdict{true, Unmarked}},
		"a_false_one_holds":         {`,"confidence":49`, Verdict{false, ExpressionFalse}},
		"a_failing_one_holds":       {``, Verdict{false, ExpressionFailed}},
		"it_does_not_overrule_TLP":  {`,"confidence":99,"object_marking_refs":["` + red2 + `"]`, Verdict{false, "TLPAboveCeiling: RED"}},
		"it_may_see_a_text_instead": {`,"confidence":"high"`, Verdict{false, ExpressionFailed}},
	} {
		t.Run(name, func(t *testing.T) {
			got := p.Decide("open", parsed(t, object(c.rest)))
			if c.want.Share {
				c.want.Reason = got.Reason
			}
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if why := Explain(got.Reason, config.Rule{MaxTLP: "GREEN", CEL: "x"}); why == "" || strings.Contains(why, "\n") {
				t.Errorf("explained as %q", why)
			}
		})
	}
}

func TestTheExpressionIsPartOfTheHash(t *testing.T) {
	hashes := map[string]bool{}
	for _, text := range []string{"", "true", "false"} {
		p, err := NewPolicy(config.Rule{MaxTLP: "GREEN", CEL: text}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		hashes[p.Hash()] = true
	}
	if len(hashes) != 3 {
		t.Errorf("%d hashes of three rules", len(hashes))
	}
	if _, err := NewPolicy(config.Rule{MaxTLP: "GREEN", CEL: "1 + 1"}, nil, nil); err == nil {
		t.Error("a number was accepted for a truth")
	}
}
