// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package campaign

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Three messages of one conversation, as they should be; each case spoils one thing.
func TestTheJudgeFindsEachBrokenPromise(t *testing.T) {
	type found struct {
		confirmed map[string]sent
		out, in   []row
	}
	tests := map[string]struct {
		spoil func(*found)
		want  Verdict
	}{
		"nothing":                           {func(*found) {}, Verdict{}},
		"a_message_that_is_not_at_the_peer": {func(f *found) { f.in = slices.Delete(f.in, 2, 3) }, Verdict{Lost: 1}},
		"a_message_that_is_gone_on_both_sides": {func(f *found) {
			f.in, f.out = slices.Delete(f.in, 1, 2), slices.Delete(f.out, 1, 2)
		}, Verdict{Lost: 1, Gaps: 2}},
		"a_message_without_receipt":               {func(f *found) { f.out[1].receipted = false }, Verdict{Lost: 1}},
		"a_message_twice":                         {func(f *found) { f.in = append(f.in, f.in[2]) }, Verdict{Doubled: 2}},
		"a_serial_twice":                          {func(f *found) { f.out[2].serial, f.in[2].serial = 2, 2 }, Verdict{Doubled: 2, Altered: 1, Reordered: 1}},
		"an_order_that_is_not_that_of_the_sender": {func(f *found) { f.in[1], f.in[2] = f.in[2], f.in[1] }, Verdict{Reordered: 1}},
		"serials_against_the_order_of_a_sender": {func(f *found) {
			f.confirmed["a"], f.confirmed["b"] = withPlace(f.confirmed["a"], 1), withPlace(f.confirmed["b"], 0)
		}, Verdict{Reordered: 1}},
		"another_text_at_the_peer":   {func(f *found) { f.in[0].sum[0]++ }, Verdict{Altered: 1}},
		"another_text_on_both_sides": {func(f *found) { f.in[0].sum[0]++; f.out[0].sum[0]++ }, Verdict{Altered: 1}},
		"another_conversation":       {func(f *found) { f.in[2].talk = "other" }, Verdict{Altered: 1}},
		"a_message_that_nobody_sent": {func(f *found) { f.in = append(f.in, row{id: "d", talk: "x", serial: 4}) }, Verdict{Strange: 1}},
		"a_gap_in_the_serials":       {func(f *found) { f.out[2].serial, f.in[2].serial = 4, 4 }, Verdict{Gaps: 2, Altered: 1}},
		"one_that_was_not_confirmed": {func(f *found) { delete(f.confirmed, "c") }, Verdict{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := &found{confirmed: map[string]sent{}}
			for i, id := range []string{"a", "b", "c"} {
				sum := sumOf(id, "text")
				f.confirmed[id] = sent{talk: "talk", place: i, serial: int64(i + 1), sum: sum}
				f.out = append(f.out, row{id: id, talk: "talk", serial: int64(i + 1), sum: sum, receipted: true})
			}
			f.in = slices.Clone(f.out)
			test.spoil(f)
			var got Verdict
			got.compare("alfa", f.confirmed, f.out, f.in, false)
			details := got.Details
			got.Details = nil
			if got.Good() != test.want.Good() || !same(got, test.want) {
				t.Errorf("got %+v, want %+v: %q", got, test.want, details)
			}
		})
	}
}

func withPlace(s sent, place int) sent { s.place = place; return s }

func same(a, b Verdict) bool {
	return [...]int{a.Lost, a.Doubled, a.Reordered, a.Gaps, a.Altered, a.Strange, a.Damaged} ==
		[...]int{b.Lost, b.Doubled, b.Reordered, b.Gaps, b.Altered, b.Strange, b.Damaged}
}

func TestTheSameSeedDrawsTheSameFaultsAndEachKindInTurn(t *testing.T) {
	names := func() (out []string) {
		d := deck{random: rand.New(rand.NewPCG(7, 0))}
		for len(out) < 3*len(kinds) {
			for _, f := range d.step(3*len(kinds) - len(out)) {
				out = append(out, f.name)
			}
		}
		return out
	}
	first := names()
	if again := names(); !slices.Equal(first, again) {
		t.Errorf("%v, then %v", first, again)
	}
	for round := range 3 {
		part := slices.Clone(first[round*len(kinds) : (round+1)*len(kinds)])
		slices.Sort(part)
		if len(slices.Compact(part)) != len(kinds) {
			t.Errorf("round %d lacks a kind: %v", round, part)
		}
	}
}
