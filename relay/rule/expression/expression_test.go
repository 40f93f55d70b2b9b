// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const indicator = `{"type":"indicator","spec_version":"2.1","id":"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","created":"2026-01-01T00:00:00.000Z",
 "confidence":75,"labels":["botnet","c2"],"n\u0061me":"B\u00e4d","score":7.5,"huge":1e999,"nothing":null,"revoked":false,
 "kill_chain_phases":[{"kill_chain_name":"ics","phase_name":"impact"}],"extensions":{"x":{"level":3}}}`

func TestAllows(t *testing.T) {
	for _, c := range []struct {
		text string
		want bool
	}{
		{`true`, true},
		{`object.confidence >= 50`, true},
		{`object.confidence > 75`, false},
		{`object.confidence >= 74.5`, true},
		{`"botnet" in object.labels`, true},
		{`object["labels"].exists(l, l.startsWith("c"))`, true},
		{`object.name == "Bäd"`, true},
		{`object.name.lowerAscii().contains("ä")`, true},
		{`object.score == 7.5`, true},
		{`object.huge > 1.0`, false},
		{`object.nothing == null`, true},
		{`!object.revoked`, true},
		{`has(object.missing)`, false},
		{`!has(object.missing) || object.missing > 1`, true},
		{`object.kill_chain_phases[0].phase_name == "impact"`, true},
		{`object.extensions.x.level == 3`, true},
		{`size(object) == 13`, true},
		{`object.all(k, k.size() < 20)`, true},
		{`timestamp(object.created) < timestamp("2026-06-01T00:00:00Z")`, true},
		{`object.type in ["indicator", "malware"] && object.labels.exists(l, l == "c2")`, true},
	} {
		t.Run(c.text, func(t *testing.T) {
			e, err := Compile(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := e.Allows([]byte(indicator)); err != nil || got != c.want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	for text, want := range map[string]string{
		``:                                    "Syntax error",
		`object.confidence >`:                 "Syntax error",
		`objekt.confidence > 1`:               "undeclared reference to 'objekt'",
		`object.labels.size()`:                "must be true or false",
		`"a" + 1 == "b"`:                      "no matching overload",
		strings.Repeat("(", 200):              "recursion",
		"true || " + strings.Repeat(" ", 5e3): "more than 4096",
	} {
		if _, err := Compile(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.40s: got %v, want one line with %q", text, err, want)
		}
	}
}

func TestWhatCannotBeEvaluatedIsAnError(t *testing.T) {
	for _, text := range []string{
		`object.missing > 1`,
		`object.name > 1`,
		`object.name`,
		`object.labels[7] == "x"`,
		`timestamp(object.name) > timestamp(object.created)`,
	} {
		e, err := Compile(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got, err := e.Allows([]byte(indicator)); got || !errors.Is(err, ErrFailed) {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
}

func TestAnEvaluationHasABoundedCost(t *testing.T) {
	e, err := Compile(`object.l.all(a, object.l.all(b, object.l.all(c, a + b + c >= 0)))`)
	if err != nil {
		t.Fatal(err)
	}
	raw := []byte(`{"l":[0` + strings.Repeat(",1", 1000) + `]}`)
	if got, err := e.Allows(raw); got || !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), "cost") {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestOnlyNamedMembersAreDecoded(t *testing.T) {
	for text, want := range map[string]map[string]bool{
		`true`:                              {},
		`object.a > 1 && has(object.b)`:     {"a": true, "b": true},
		`object["a"] == object.b.c`:         {"a": true, "b": true},
		`object.a.all(x, x == object.b)`:    {"a": true, "b": true},
		`size(object) > 1 && object.a == 1`: nil,
		`object[object.a] == 1`:             nil,
		`object.exists(k, k == "a")`:        nil,
		`[object][0].a == 1`:                nil,
	} {
		e, err := Compile(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, e.members); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func FuzzCompileAndEvaluate(f *testing.F) {
	f.Add(`object.confidence >= 50`, indicator)
	f.Add(`object.all(k, k != "x")`, `{"a":[1,{"b":2.5}]}`)
	f.Fuzz(func(_ *testing.T, text, raw string) {
		e, err := Compile(text)
		if err != nil {
			return
		}
		_, _ = e.Allows([]byte(raw)) // ends, without a panic
	})
}

func BenchmarkAllows(b *testing.B) {
	e, err := Compile(`object.confidence >= 50 && "botnet" in object.labels`)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if ok, err := e.Allows([]byte(indicator)); !ok {
			b.Fatal(err)
		}
	}
}
