// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/certlink/certlink/test/bench/figures"
	"github.com/certlink/certlink/test/bench/relays"
)

// cost is what one import took.
type cost struct {
	objects int
	// push is alfa's processor time from the first POST to the last decision;
	// exporting and importing are those of alfa and bravo while the import ran.
	push, exporting, importing time.Duration
	wall                       time.Duration
}

func (c cost) perSecond() float64 { return float64(c.objects) / (c.exporting + c.importing).Seconds() }

func each(d time.Duration, objects int) float64 {
	return float64(d.Nanoseconds()) / 1000 / float64(objects)
}

// exchange pushes objects into alfa, and when all are decided has bravo import them.
func (b *bench) exchange(ctx context.Context, w *world, set dataSet, objects int) (c cost, err error) {
	c.objects = objects
	before, err := cpu(w)
	if err != nil {
		return cost{}, err
	}
	if err := w.push(ctx, set, objects); err != nil {
		return cost{}, err
	}
	pushed, err := cpu(w)
	if err != nil {
		return cost{}, err
	}
	c.push = pushed[0] - before[0]
	begun := time.Now()
	if err := w.pull(ctx, feedName, objects); err != nil {
		return cost{}, err
	}
	pulled, err := cpu(w)
	if err != nil {
		return cost{}, err
	}
	c.wall = time.Since(begun)
	c.exporting, c.importing = pulled[0]-pushed[0], pulled[1]-pushed[1]
	for _, n := range w.both() {
		mb, err := peak(n.PID())
		if err != nil {
			return cost{}, err
		}
		b.rss = append(b.rss, mb)
	}
	if !figures.JSON() {
		fmt.Fprintf(os.Stderr, "%d objects: push and decide %.1f us each; import %.1f us each (exporting %.1f, importing %.1f), %.0f per CPU-second, %.1f s; peaks %.0f and %.0f MB\n",
			objects, each(c.push, objects), each(c.exporting+c.importing, objects), each(c.exporting, objects), each(c.importing, objects),
			c.perSecond(), c.wall.Seconds(), b.rss[len(b.rss)-2], b.rss[len(b.rss)-1])
	}
	return c, nil
}

// cpu is the processor time of alfa and of bravo, with that of their databases.
func cpu(w *world) (used [2]time.Duration, err error) {
	for i, n := range w.both() {
		if used[i], err = relays.CPU(n.PID()); err != nil {
			return used, err
		}
		if server := w.databases[i]; server != nil {
			its, err := server.CPU()
			if err != nil {
				return used, err
			}
			used[i] += its
		}
	}
	return used, nil
}

// note adds the figures of an import.
func (b *bench) note(suffix, target string, c cost) {
	b.results.AddValue("feed.objects_per_cpu_s."+suffix, "1/s", target, c.perSecond(), c.objects)
	b.results.AddValue("feed.export_us_per_object."+suffix, "us", "", each(c.exporting, c.objects), c.objects)
	b.results.AddValue("feed.import_us_per_object."+suffix, "us", "", each(c.importing, c.objects), c.objects)
	b.results.AddValue("feed.push_decide_us_per_object."+suffix, "us", "", each(c.push, c.objects), c.objects)
	b.results.AddValue("feed.objects_per_s."+suffix, "1/s", "", float64(c.objects)/c.wall.Seconds(), c.objects)
}

// alone runs one exchange between nations of their own, and then more, if not nil.
func (b *bench) alone(ctx context.Context, suffix, target string, set dataSet, objects int, more func(*world) error) error {
	dir := filepath.Join(b.dir, suffix)
	defer os.RemoveAll(dir)
	w, err := found(ctx, dir, b.binary, nil)
	if err != nil {
		return err
	}
	defer w.stop()
	c, err := b.exchange(ctx, w, set, objects)
	if err != nil {
		return err
	}
	b.note(suffix, target, c)
	if more != nil {
		return more(w)
	}
	return nil
}

func (b *bench) small(ctx context.Context) error {
	return b.alone(ctx, "200k", ">= 40000", indicators{}, b.scale.small, nil)
}

func (b *bench) attack(ctx context.Context) error {
	set, err := readCopies("test/data/ics-attack-18.1.json")
	if err != nil {
		return err
	}
	return b.alone(ctx, "attack", "", set, b.scale.attack, nil)
}

func (b *bench) large(ctx context.Context) error {
	return b.alone(ctx, "1m", ">= 30000", indicators{}, b.scale.large, func(w *world) error {
		return b.pages(ctx, w, b.scale.large)
	})
}
