// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"testing"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

func TestTrack(t *testing.T) {
	const u, s, r, d, n = report.Up, report.Suspect, report.Recovering, report.Down, report.Unknown
	l := limits{suspect: 200 * ms, down: 300 * ms}
	alive, quiet, silent := sight{proven: true}, sight{proven: true, silence: 200 * ms}, sight{proven: true, silence: 300 * ms}
	broken, blind, restarted := sight{broken: true, proven: true}, sight{blind: true, proven: true}, sight{proven: true, spared: true}
	goodbye := sight{broken: true, proven: true, spared: true}
	type step struct {
		after time.Duration
		sight sight
		want  report.State
	}
	for _, c := range []struct {
		name  string
		steps []step
		flaps int
	}{
		{"is_unknown_until_something_is_proven", []step{{0, sight{}, n}, {time.Hour, sight{silence: time.Hour}, n}}, 0},
		{"is_up_with_the_first_proof", []step{{0, alive, u}}, 0},
		{"is_suspect_then_down", []step{{0, alive, u}, {0, quiet, s}, {0, silent, d}}, 1},
		{"forgives_a_suspect_at_once", []step{{0, alive, u}, {0, quiet, s}, {0, alive, u}}, 0},
		{"can_fall_at_once", []step{{0, alive, u}, {0, silent, d}}, 1},
		{"counts_an_outage_once", []step{{0, alive, u}, {0, silent, d}, {0, silent, d}, {0, broken, d}, {0, silent, d}}, 1},
		{"recovers_for_5_s", []step{{0, alive, u}, {0, silent, d}, {0, alive, r}, {4999 * ms, alive, r}, {ms, alive, u}}, 1},
		{"begins_anew_when_it_is_quiet_meanwhile", []step{{0, alive, u}, {0, silent, d}, {0, alive, r}, {4 * time.Second, quiet, r}, {4 * time.Second, alive, r}, {time.Second, alive, u}}, 1},
		{"counts_a_fall_while_it_recovers", []step{{0, alive, u}, {0, silent, d}, {0, alive, r}, {0, silent, d}, {0, alive, r}, {9 * time.Second, alive, r}, {time.Second, alive, u}}, 2},
		{"needs_no_damping_at_the_first_start", []step{{0, broken, d}, {time.Hour, alive, u}}, 0},
		{"needs_none_after_a_goodbye", []step{{0, alive, u}, {0, goodbye, d}, {0, broken, d}, {time.Minute, alive, u}}, 0},
		{"needs_none_after_a_crash", []step{{0, alive, u}, {0, silent, d}, {0, restarted, u}}, 0},
		{"needs_none_when_the_crash_is_seen_late", []step{{0, alive, u}, {0, silent, d}, {0, alive, r}, {0, restarted, u}}, 0},
		{"does_not_spare_the_outage_after_next", []step{{0, alive, u}, {0, restarted, u}, {0, silent, d}, {0, alive, r}}, 1},
		{"keeps_earlier_flaps_through_a_restart", []step{{0, alive, u}, {0, silent, d}, {0, alive, r}, {5 * time.Second, alive, u}, {0, goodbye, d}, {0, alive, u}}, 1},
		{"cannot_be_told_blind", []step{{0, alive, u}, {0, blind, n}, {0, alive, u}}, 0},
		{"stays_down_blind", []step{{0, alive, u}, {0, silent, d}, {0, blind, d}}, 1},
		{"is_down_blind_and_broken", []step{{0, alive, u}, {0, blind, n}, {0, broken, d}}, 0},
		{"forgets_flaps_after_10_min", []step{{0, alive, u}, {0, silent, d}, {0, alive, r}, {5 * time.Second, alive, u}, {10 * time.Minute, alive, u}}, 0},
		{"remembers_them_until_then", []step{{0, alive, u}, {0, silent, d}, {0, alive, r}, {5 * time.Second, alive, u}, {9 * time.Minute, alive, u}}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var tr track
			now := time.Unix(1_800_000_000, 0)
			for i, step := range c.steps {
				now = now.Add(step.after)
				if tr = tr.next(step.sight, l, now); tr.state != step.want {
					t.Fatalf("step %d: %s, want %s", i, tr.state, step.want)
				}
			}
			if tr.flaps != c.flaps {
				t.Errorf("%d flaps, want %d", tr.flaps, c.flaps)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	usual := config.Detection{IntervalMilliseconds: 100, Misses: 3}
	for _, c := range []struct {
		name          string
		d             config.Detection
		rtt           time.Duration
		suspect, down time.Duration
		worst         time.Duration
		atMost        time.Duration
	}{
		{"on_loopback", usual, 0, 200 * ms, 300 * ms, 350 * ms, 350 * ms},
		{"over_300_ms", usual, 300 * ms, 500 * ms, 700 * ms, 900 * ms, time.Second},
		{"over_50_ms", usual, 50 * ms, 225 * ms, 300 * ms, 400 * ms, 0},
		{"by_a_long_budget", config.Detection{IntervalMilliseconds: 1000, Misses: 10}, 300 * ms, 2300 * ms, 10 * time.Second, 10600 * ms, 0},
		{"by_the_shortest_budget", config.Detection{IntervalMilliseconds: 50, Misses: 2}, 0, 75 * ms, 100 * ms, 150 * ms, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := limitsOf(c.d, c.rtt)
			if l.suspect != c.suspect || l.down != c.down {
				t.Errorf("suspect after %s, down after %s; want %s and %s", l.suspect, l.down, c.suspect, c.down)
			}
			worst := l.worst(c.rtt, interval(c.d))
			if worst != c.worst || c.atMost > 0 && worst > c.atMost {
				t.Errorf("worst case %s, want %s", worst, c.worst)
			}
			if l.suspect >= l.down {
				t.Error("down before it is suspect")
			}
		})
	}
}

func TestClampBringsWhatAPeerAnnouncesIntoBounds(t *testing.T) {
	for _, c := range []struct{ in, want config.Detection }{
		{config.Detection{}, config.Detection{IntervalMilliseconds: 50, Misses: 2}},
		{config.Detection{IntervalMilliseconds: -5, Misses: -5}, config.Detection{IntervalMilliseconds: 50, Misses: 2}},
		{config.Detection{IntervalMilliseconds: 1 << 30, Misses: 1 << 30}, config.Detection{IntervalMilliseconds: 60_000, Misses: 100}},
		{config.Detection{IntervalMilliseconds: 700, Misses: 4}, config.Detection{IntervalMilliseconds: 700, Misses: 4}},
	} {
		if got := clamp(c.in); got != c.want {
			t.Errorf("clamp(%v) = %v, want %v", c.in, got, c.want)
		}
	}
}

func TestHoldDoublesFrom5To60Seconds(t *testing.T) {
	for flaps, want := range []float64{0, 5, 10, 20, 40, 60, 60} {
		if got := holdOf(flaps); got.Seconds() != want {
			t.Errorf("after %d flaps %s, want %v s", flaps, got, want)
		}
	}
	if got := holdOf(1 << 30); got != lastHold {
		t.Errorf("after very many %s", got)
	}
}

func TestAllowance(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var a allowance
	for i := range 166 { // what TCP may have held up for 15 s, and some
		if !a.take(now, 100*ms) {
			t.Fatalf("beat %d of a burst refused", i)
		}
	}
	if a.take(now, 100*ms) {
		t.Error("a burst without end is allowed")
	}
	for i := range 1000 {
		now = now.Add(25 * ms)
		if !a.take(now, 100*ms) {
			t.Fatalf("beat %d at four times the rate refused", i)
		}
	}
	refused := 0
	for range 1000 {
		now = now.Add(20 * ms)
		if !a.take(now, 100*ms) {
			refused++
		}
	}
	if refused == 0 {
		t.Error("five times the rate is allowed for ever")
	}
}

func TestWindow(t *testing.T) {
	var w window
	note := func(seq uint64, newest bool, lost int) {
		t.Helper()
		if n, l := w.note(seq, 0); n != newest || l != lost {
			t.Errorf("note(%d) = %v, %d; want %v, %d", seq, n, l, newest, lost)
		}
	}
	note(1000, true, 0) // begins anywhere
	note(1002, true, 0)
	note(1001, false, 0) // late
	note(1001, false, 0)
	for seq := uint64(1004); seq < 1003+windowSize; seq++ { // all but 1003
		note(seq, true, 0)
	}
	note(1003+windowSize, true, 1)
	note(1003, false, 0) // too late to count
	note(1004+windowSize, true, 0)
	note(1004+10*windowSize, true, 8*windowSize)
	note(1<<60, true, windowSize-1+1<<20)
}

func TestSilence(t *testing.T) {
	begin := time.Unix(1_800_000_000, 0)
	for _, c := range []struct {
		name           string
		heard, segment int64 // ms
		now, want      int64
	}{
		{"is_the_time_since_the_last_byte", 0, 0, 500, 500},
		{"counts_half_while_segments_arrive", 0, 490, 500, 250},
		{"counts_from_the_last_segment_after_a_cut", 0, 30, 500, 470},
		{"is_never_more_than_the_time_since_the_last_byte", 400, 0, 500, 100},
		{"of_a_peer_whose_kernel_alone_lives_grows_on", 0, 5990, 6000, 3000},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPath(pathID, config.Detection{IntervalMilliseconds: 100, Misses: 3}, &lateness{}, begin)
			at := func(n int64) time.Time { return time.UnixMilli(begin.UnixMilli() + n) }
			p.heard, p.segment = at(c.heard), at(c.segment)
			if got := p.silence(at(c.now)); got.Milliseconds() != c.want {
				t.Errorf("%s, want %d ms", got, c.want)
			}
		})
	}
}

func TestOurOwnLatenessIsNotHeldAgainstThePeer(t *testing.T) {
	begin := time.Unix(1_800_000_000, 0)
	for name, kernel := range map[string]bool{"with_the_kernel": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			late := &lateness{}
			p := newPath(pathID, config.Detection{IntervalMilliseconds: 100, Misses: 3}, late, begin)
			beat := Beat{Seq: 1, Seen: 1, Instance: "x", IntervalMilliseconds: 100, Misses: 3}
			p.seq = 1
			p.take(&line{}, beat, begin)
			p.judge(begin)
			now := begin.Add(10 * time.Second) // the process was stopped
			if kernel {
				p.segment = now.Add(-50 * ms)
			}
			late.note(9900*ms, now)
			p.judge(now)
			if p.state != report.Up {
				t.Fatalf("%s after we were stopped", p.state)
			}
			// The peer has not heard us for as long, and says so.
			now = now.Add(10 * ms)
			beat.Seq, beat.SilentMicroseconds = 2, 9_950_000
			p.take(&line{}, beat, now)
			p.judge(now)
			if p.state != report.Up {
				t.Fatalf("%s because of what the peer has not heard meanwhile", p.state)
			}
			now = now.Add(11 * time.Second)
			beat.Seq = 3
			p.take(&line{}, beat, now)
			p.judge(now)
			if p.out.state != report.Down || p.in.state != report.Up {
				t.Errorf("outbound %s, inbound %s without an excuse", p.out.state, p.in.state)
			}
		})
	}
}

func TestLateness(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var l lateness
	l.note(tolerance, now)
	l.note(100*ms, now)
	l.note(60*ms, now.Add(time.Second))
	for _, c := range []struct {
		from time.Time
		want time.Duration
	}{
		{now.Add(-time.Hour), 160 * ms}, {now.Add(-30 * ms), 90 * ms}, {now, 60 * ms}, {now.Add(980 * ms), 20 * ms}, {now.Add(time.Second), 0},
	} {
		if got := l.since(c.from); got != c.want {
			t.Errorf("since %s: %s, want %s", c.from.Sub(now), got, c.want)
		}
	}
	for range 2 * lateEvents {
		l.note(100*ms, now.Add(time.Minute))
	}
	if len(l.events) != lateEvents {
		t.Errorf("%d events are kept", len(l.events))
	}
	l.note(100*ms, now.Add(time.Hour))
	if len(l.events) != 1 {
		t.Errorf("%d events are kept for ever", len(l.events))
	}
}

func TestAnotherReplicaOfThePeerIsLifeAndNoMore(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	p := newPath(pathID, config.Detection{IntervalMilliseconds: 100, Misses: 3}, &lateness{}, now)
	one, two := &line{}, &line{}
	p.lines[one], p.lines[two] = struct{}{}, struct{}{}
	p.seq = 10
	p.take(one, Beat{Seq: 50, Seen: 9, Instance: "one"}, now)
	now = now.Add(10 * ms)
	p.take(two, Beat{Seq: 7, Seen: 1, SilentMicroseconds: 1e9, Instance: "two"}, now)
	if p.arrived.highest != 50 || p.unheard != 0 || !p.heard.Equal(now) || p.restart {
		t.Errorf("%+v", p)
	}
	// The first is silent for as long as a path may be, so the other one is the peer.
	now = now.Add(time.Second)
	p.take(two, Beat{Seq: 8, Seen: 2, Instance: "two"}, now)
	if p.arrived.highest != 8 || p.echoed != 2 || !p.restart {
		t.Errorf("%+v", p)
	}
}

func TestEachReplicaOfThePeerIsToldOfItsOwnBeats(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	p := newPath(pathID, config.Detection{IntervalMilliseconds: 100, Misses: 3}, &lateness{}, now)
	one, two, twoAgain := &line{}, &line{}, &line{}
	p.lines[one], p.lines[two], p.lines[twoAgain] = struct{}{}, struct{}{}, struct{}{}
	p.take(one, Beat{Seq: 50, Instance: "one"}, now)
	p.take(two, Beat{Seq: 7, Instance: "two"}, now.Add(10*ms))
	p.take(twoAgain, Beat{Seq: 8, Instance: "two"}, now.Add(20*ms))
	p.take(two, Beat{Seq: 6, Instance: "two"}, now.Add(25*ms)) // it was held up
	now = now.Add(30 * ms)
	for name, tt := range map[string]struct {
		to   *line
		seen uint64
		held int64
	}{
		"the one that counts":             {one, 50, 30_000},
		"another one":                     {two, 8, 10_000},
		"its other connection":            {twoAgain, 8, 10_000},
		"one that has not said who it is": {&line{}, 50, 30_000},
	} {
		if b := p.beatTo(tt.to, now); b.Seen != tt.seen || b.HeldMicroseconds != tt.held || b.SilentMicroseconds > tt.held {
			t.Errorf("%s: %+v", name, b)
		}
	}
}

func TestAnEchoOfWhatWasNeverSentIsNotBelieved(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	p := newPath(pathID, config.Detection{IntervalMilliseconds: 100, Misses: 3}, &lateness{}, now)
	p.take(&line{}, Beat{Seq: 1, Seen: 1 << 40, Instance: "x"}, now)
	p.judge(now)
	if p.echoed != 0 || p.out.state != report.Unknown || p.in.state != report.Up {
		t.Errorf("%+v", p)
	}
}
