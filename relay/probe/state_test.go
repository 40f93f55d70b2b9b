// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

func TestTrack(t *testing.T) {
	const misses = 3
	for _, c := range []struct {
		name   string
		events string // a: answer, l: lost
		want   report.State
		missed int32
	}{
		{"is_unknown_at_first", "", "", 0},
		{"is_up_after_one_answer", "a", report.Up, 0},
		{"stays_unknown_below_the_misses", "ll", "", 2},
		{"is_down_after_the_misses", "lll", report.Down, 3},
		{"stays_up_below_the_misses", "all", report.Up, 2},
		{"counts_misses_in_a_row_only", "allall", report.Up, 2},
		{"goes_down", "alll", report.Down, 3},
		{"comes_up_with_one_answer", "allllla", report.Up, 0},
		{"does_not_count_beyond", "llllllllll", report.Down, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			var tr track
			for _, e := range c.events {
				if e == 'a' {
					tr = tr.answered(time.Millisecond)
				} else {
					tr = tr.lost(fault{report.CauseUnreachable, "x"}, misses)
				}
			}
			if tr.state != c.want || tr.missed != c.missed {
				t.Errorf("state %q, missed %d; want %q, %d", tr.state, tr.missed, c.want, c.missed)
			}
		})
	}
}

func TestOutbound(t *testing.T) {
	up, unknown := track{state: report.Up}, track{}
	down := func(c report.Cause) track { return track{state: report.Down, fault: fault{c, "x"}} }
	for _, c := range []struct {
		name   string
		tracks []track
		state  report.State
		cause  report.Cause
	}{
		{"is_up_when_one_path_is", []track{down(report.CauseUntrusted), up}, report.Up, report.CauseNone},
		{"is_unknown_while_a_path_may_come_up", []track{down(report.CauseUntrusted), unknown}, report.Unknown, report.CauseNone},
		{"is_down_when_all_are", []track{down(report.CauseUnreachable), down(report.CauseUnreachable)}, report.Down, report.CauseUnreachable},
		{"tells_the_cause_that_says_most", []track{down(report.CauseUnreachable), down(report.CauseExpired), down(report.CauseRefused)}, report.Down, report.CauseExpired},
	} {
		t.Run(c.name, func(t *testing.T) {
			state, f := outbound(c.tracks)
			if state != c.state || f.cause != c.cause {
				t.Errorf("%q %q, want %q %q", state, f.cause, c.state, c.cause)
			}
		})
	}
}

func TestInbound(t *testing.T) {
	begin := time.Unix(1_800_000_000, 0)
	ours := config.Detection{IntervalMilliseconds: 1000, Misses: 3}    // 6 s
	theirs := config.Detection{IntervalMilliseconds: 200, Misses: 1}   // 2.4 s
	patient := config.Detection{IntervalMilliseconds: 5000, Misses: 1} // 15 s
	for _, c := range []struct {
		name string
		in   inbound
		now  time.Duration
		want report.State
	}{
		{"is_unknown_within_our_budget_at_first", inbound{since: begin}, 6 * time.Second, report.Unknown},
		{"is_down_after_our_budget_of_silence", inbound{since: begin}, 6001 * time.Millisecond, report.Down},
		{"is_up_within_the_announced_budget", inbound{since: begin, last: begin, budget: theirs}, 2400 * time.Millisecond, report.Up},
		{"is_down_after_the_announced_budget", inbound{since: begin, last: begin, budget: theirs}, 2401 * time.Millisecond, report.Down},
		{"waits_for_a_peer_that_announces_more", inbound{since: begin, last: begin, budget: patient}, 15 * time.Second, report.Up},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.in.state(begin.Add(c.now), ours); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestClampBringsWhatAPeerAnnouncesIntoBounds(t *testing.T) {
	for _, c := range []struct{ in, want config.Detection }{
		{config.Detection{}, config.Detection{IntervalMilliseconds: 200, Misses: 1}},
		{config.Detection{IntervalMilliseconds: -5, Misses: -5}, config.Detection{IntervalMilliseconds: 200, Misses: 1}},
		{config.Detection{IntervalMilliseconds: 1 << 30, Misses: 1 << 30}, config.Detection{IntervalMilliseconds: 60_000, Misses: 20}},
		{config.Detection{IntervalMilliseconds: 700, Misses: 4}, config.Detection{IntervalMilliseconds: 700, Misses: 4}},
	} {
		if got := clamp(c.in); got != c.want {
			t.Errorf("clamp(%v) = %v, want %v", c.in, got, c.want)
		}
	}
}

func TestExplainSilence(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	peer := config.Peer{Name: "bravo", TrustDomain: "bravo.example"}
	says := func(c report.Cause) inbound { return inbound{view: View{Outbound: report.Down, Cause: c}} }
	refused := refusal{fault{report.CauseUntrusted, "no chain"}, now.Add(-time.Second)}
	old := refusal{fault{report.CauseUntrusted, "no chain"}, now.Add(-time.Hour)}
	for _, c := range []struct {
		name    string
		out     report.State
		in      inbound
		refused refusal
		cause   report.Cause
		says    string
	}{
		{"by_what_our_port_refused", report.Up, says(report.CauseRefused), refused, report.CauseUntrusted, "we refuse connections"},
		{"not_by_an_old_refusal", report.Down, inbound{}, old, report.CauseSilent, "the peer is down"},
		{"by_what_the_peer_says", report.Up, says(report.CauseUnreachable), refusal{}, report.CauseSilent, "compare it with our card"},
		{"by_the_peer_having_no_address", report.Up, says(report.CauseNoEndpoints), refusal{}, report.CauseSilent, "no address of ours"},
		{"never_in_the_peer's_own_words", report.Up, says("<script>"), refusal{}, report.CauseSilent, "ask the peer"},
		{"without_a_view_of_the_peer", report.Up, inbound{}, refusal{}, report.CauseSilent, "ask the peer whether"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := explainSilence(peer, c.out, c.in, c.refused, now)
			if f.cause != c.cause || !strings.Contains(f.message, c.says) || strings.Contains(f.message, "<") {
				t.Errorf("%q %q", f.cause, f.message)
			}
		})
	}
}
