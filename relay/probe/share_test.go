// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"fmt"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/config"
)

// TestBeatsToAnotherReplicaAreNotLost: two of three connections of a path lead to one replica of the peer, one to another.
func TestBeatsToAnotherReplicaAreNotLost(t *testing.T) {
	for name, tt := range map[string]struct {
		// told: a connection says whom it leads to after so many rounds; dropped beats go astray.
		told, dropped int
		lost          [2]int // at each
	}{
		"when_nothing_is_lost": {},
		// Whom those are for that left before the connections said who they are, nobody knows.
		"when_the_connections_say_late_who_they_are": {told: 2, lost: [2]int{2, 2}},
		"when_some_of_one_replica_are_lost":          {dropped: 17, lost: [2]int{17, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			const rounds = 4 * windowSize
			now := time.Unix(1_800_000_000, 0)
			budget := config.Detection{IntervalMilliseconds: 100, Misses: 3}
			from := newPath(pathID, budget, &lateness{}, now)
			replicas := []*path{newPath(pathID, budget, &lateness{}, now), newPath(pathID, budget, &lateness{}, now)}
			var lines, ends [3]*line
			for i := range lines {
				lines[i], ends[i] = &line{}, &line{}
				from.lines[lines[i]] = struct{}{}
			}
			var lost [2]int
			for round := range rounds {
				for i, l := range lines {
					now = now.Add(33 * ms)
					to := i / 2 // 0, 0, 1
					if round == tt.told {
						from.take(l, Beat{Seq: uint64(i + 1), Instance: fmt.Sprint("replica ", to)}, now)
					}
					b := from.beatTo(l, now)
					b.Instance = "sender"
					if i == 1 && round >= 100 && round < 100+tt.dropped {
						continue
					}
					read, err := parse(b.append(nil))
					if err != nil {
						t.Fatal(err)
					}
					lost[to] += replicas[to].take(ends[i], read, now).lost
				}
			}
			if lost != tt.lost {
				t.Errorf("lost at the replicas: %v, want %v", lost, tt.lost)
			}
		})
	}
}

func TestAPeerThatChangesReplicasAllTheTimeIsNotRememberedForEver(t *testing.T) {
	var s shares
	l := &line{}
	open := map[*line]struct{}{l: {}}
	for n := range uint64(10 * maxShares) {
		l.instance = fmt.Sprint(n)
		s.leaves(l, n+1, open)
	}
	if len(s.last) > maxShares+1 {
		t.Errorf("%d are remembered", len(s.last))
	}
}

func TestAWindowWithNumbersThatAreForOthers(t *testing.T) {
	var w window
	for _, tt := range []struct {
		seq, after uint64
		newest     bool
		lost       int
	}{
		{1000, 3, true, 0},
		{1010, 1000, true, 0},
		{1020, 1015, true, 0},                                 // 1015 is late, or lost, and what it was after is not known
		{1015, 1010, false, 0},                                // it was late
		{1019 + windowSize, 1020, true, 0},                    // what has left the window was there, or not for us
		{1030 + 2*windowSize, 1025 + windowSize, true, 1 + 5}, // 1020 to 1025 of the second window are missing
		{1 << 60, 1030 + 2*windowSize, true, 0},
		{2 << 60, 2<<60 + 5, true, 1 << 20}, // it cannot be before it
	} {
		if newest, lost := w.note(tt.seq, tt.after); newest != tt.newest || lost != tt.lost {
			t.Errorf("%d after %d: %t, %d lost; want %t, %d", tt.seq, tt.after, newest, lost, tt.newest, tt.lost)
		}
	}
}
