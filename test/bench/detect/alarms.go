// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"time"

	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/test/bench/relays"
)

// alarms lets seven relays, each a peer of each other, live on a bad network, and counts how often one of them
// says that a path is down. None ever is, unless this machine stalls: what the canary explains is counted apart.
func (b *bench) alarms(ctx context.Context) error {
	w, err := b.found(ctx, far, 1, "alfa", "bravo", "charlie", "delta", "echo", "foxtrot", "golf")
	if err != nil {
		return err
	}
	defer w.close()
	canary, err := w.sing(ctx)
	if err != nil {
		return err
	}
	pause(ctx, 10*time.Second)
	began, spent := time.Now(), make([]time.Duration, len(w.nations))
	for i, n := range w.nations {
		if spent[i], err = relays.CPU(n.PID()); err != nil {
			return err
		}
	}
	links := len(w.nations) * (len(w.nations) - 1) / 2
	say("%d links are being watched for %s", links, b.duration)
	var alarms, excused int
	for time.Since(began) < b.duration && ctx.Err() == nil {
		pause(ctx, min(time.Minute, b.duration-time.Since(began)))
		if alarms, excused, err = w.falseAlarms(canary, began); err != nil {
			return err
		}
		stalls, longest, _ := canary.sum(began)
		say("%s: %d false alarms on %d links; %d more while the machine stalled (%d times, up to %s)",
			time.Since(began).Round(time.Second), alarms, links, excused, stalls, longest.Round(time.Millisecond))
	}
	took := time.Since(began)
	stalls, longest, explained := canary.sum(began)
	watched := took - explained
	var cpu []float64
	for i, n := range w.nations {
		now, err := relays.CPU(n.PID())
		if err != nil {
			return err
		}
		cpu = append(cpu, 100*float64(now-spent[i])/float64(took))
	}
	b.figures.AddValue("detect.false_alarms_per_hour.wan", "1/h", "< 1, all links together", float64(alarms)/watched.Hours(), links)
	b.figures.AddValue("detect.alarms_in_stalls_of_the_machine.wan", "", "", float64(excused), links)
	b.figures.AddValue("detect.watched_hours.wan", "h", "≥ 1", watched.Hours(), 1)
	b.figures.AddValue("detect.longest_stall_of_the_machine_ms", "ms", "", milliseconds(longest), stalls)
	b.figures.Add("detect.cpu_percent_6_peers", "%", "", cpu)
	return nil // an interrupted run is a shorter one
}

// falseAlarms counts, and tells, what fell since a time.
func (w *world) falseAlarms(c *canary, since time.Time) (count, excused int, err error) {
	for i, j := range w.journal {
		turns, err := j.follow()
		if err != nil {
			return 0, 0, err
		}
		for n, t := range turns {
			if t.To != report.Down || !t.Time.After(since) {
				continue
			}
			excuse := ""
			if c.explains(t.Time) {
				excused++
				excuse = " (the machine stalled)"
			} else {
				count++
			}
			if n >= w.told[i] {
				say("%s: %s says that %s at %s is down%s: %s", t.Time.Format(time.TimeOnly), w.nations[i].Name, t.Peer, t.Address, excuse, t.Why)
			}
		}
		w.told[i] = len(turns)
	}
	return count, excused, nil
}
