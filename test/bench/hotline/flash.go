// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/test/bench/figures"
	"github.com/certlink/certlink/test/bench/relays"
)

const (
	feedName = "threats"
	// pushAtOnce is the number of objects in one POST.
	pushAtOnce = 4000
	// askers put messages into the queue at once.
	askers = 16
	// mostRounds bounds how often the queue is filled.
	mostRounds = 10
)

// pair is two relay processes: alfa sends and exports, bravo imports.
type pair struct {
	alfa, bravo *relays.Nation
	// imported is how many objects bravo has stored, as far as it was looked.
	imported atomic.Int64
	// left and stored are messages of the queue that went, and objects that were stored, in so much time
	// in which FLASH was sent under load.
	left, stored int64
	loaded       time.Duration
}

// flash compares the p99 of FLASH messages, from the request at the desk to the verified
// receipt, on idle relays, and while thousands of ROUTINE messages wait and a feed
// saturates the link.
func (b *bench) flash(ctx context.Context) error {
	binary, err := relays.Build(ctx, b.dir)
	if err != nil {
		return err
	}
	p, err := newPair(ctx, filepath.Join(b.dir, "flash"), binary)
	if err != nil {
		return err
	}
	defer p.stop()
	if err := p.push(ctx, b.scale.objects); err != nil {
		return err
	}
	var warm, idle, busy []float64
	if err := p.flashes(ctx, b.scale.idle/10, &warm, forever); err != nil {
		return err
	}
	if err := p.flashes(ctx, b.scale.idle, &idle, forever); err != nil {
		return err
	}
	rounds := 0
	for ; rounds < mostRounds && len(busy) < b.scale.busy; rounds++ {
		if err := p.underLoad(ctx, b.scale, &busy); err != nil {
			return err
		}
	}
	if len(busy) == 0 {
		return errors.New("the queue was empty before one FLASH message was sent")
	}
	ratio := figures.Quantile(busy, 0.99) / figures.Quantile(idle, 0.99)
	b.results.AddValue("hotline.flash_p99_ratio", "ratio", "<= 2", ratio, len(busy))
	b.results.AddQuantile("hotline.flash_p99_ms.idle", "ms", "", idle, 0.99)
	b.results.AddQuantile("hotline.flash_p99_ms.busy", "ms", "", busy, 0.99)
	b.results.Add("hotline.flash_p50_ms.idle", "ms", "", idle)
	b.results.Add("hotline.flash_p50_ms.busy", "ms", "", busy)
	b.results.AddValue("hotline.flash_others_per_s", "1/s", "", float64(p.left)/p.loaded.Seconds(), int(p.left))
	b.results.AddValue("hotline.flash_objects_per_s", "1/s", "", float64(p.stored)/p.loaded.Seconds(), int(p.stored))
	b.results.AddValue("hotline.flash_rounds", "count", "", float64(rounds), rounds)
	return nil
}

func newPair(ctx context.Context, dir, binary string) (p *pair, err error) {
	p = &pair{}
	if p.alfa, err = relays.New(ctx, dir, "alfa"); err != nil {
		return nil, err
	}
	if p.bravo, err = relays.New(ctx, dir, "bravo"); err != nil {
		return nil, err
	}
	p.alfa.Config.Peers, p.bravo.Config.Peers = []config.Peer{p.bravo.Peer()}, []config.Peer{p.alfa.Peer()}
	p.alfa.Config.Hotlines = []config.Hotline{{Name: "bravo", Peer: "bravo"}}
	p.bravo.Config.Hotlines = []config.Hotline{{Name: "alfa", Peer: "alfa"}}
	p.alfa.Config.Exports = []config.Export{{
		Name: feedName, Peers: []string{"bravo"}, Sources: []config.Source{{Name: "tool", UnmarkedAs: "CLEAR"}}, Rule: config.Rule{MaxTLP: "AMBER"},
	}}
	for _, n := range []*relays.Nation{p.alfa, p.bravo} {
		if err := n.Start(ctx, binary); err != nil {
			p.stop()
			return nil, err
		}
	}
	if err := errors.Join(p.alfa.Connected(ctx), p.bravo.Connected(ctx)); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func (p *pair) stop() {
	p.alfa.Stop()
	p.bravo.Stop()
}

// push gives alfa objects and waits until all are decided.
func (p *pair) push(ctx context.Context, objects int) error {
	for first := 0; first < objects; first += pushAtOnce {
		var batch []json.RawMessage
		for n := first; n < min(first+pushAtOnce, objects); n++ {
			batch = append(batch, json.RawMessage(fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-%012d",`+
				`"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","pattern":"[ipv4-addr:value = '198.51.100.1']",`+
				`"pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z","description":%q}`, n, request("").Text)))
		}
		status, err := p.alfa.Desk().Push(ctx, feedName+".tool", batch)
		if err != nil {
			return err
		}
		if _, err = p.alfa.Desk().AwaitPush(ctx, status); err != nil {
			return err
		}
	}
	return p.until(ctx, p.alfa, func(r report.Report) bool {
		return len(r.Exports) == 1 && r.Exports[0].Stored == int64(objects) && r.Exports[0].Undecided == 0
	})
}

// until asks five times a second, so that asking costs the relays little.
func (p *pair) until(ctx context.Context, n *relays.Nation, condition func(report.Report) bool) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if r, err := n.Report(ctx); err == nil && condition(r) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func queued(r report.Report) int64 {
	if len(r.Hotlines) != 1 {
		return 0
	}
	return r.Hotlines[0].Queued
}

func forever() bool { return true }

// underLoad holds bravo still until enough waits at alfa, lets it import all the time, and
// sends while any of it waits. It begins with the first receipt and the first object, not when
// the link counts as up again: that takes up to a minute, and then nothing waits any more.
func (p *pair) underLoad(ctx context.Context, s scale, busy *[]float64) error {
	if err := syscall.Kill(p.bravo.PID(), syscall.SIGSTOP); err != nil {
		return fmt.Errorf("holding a relay: %w", err)
	}
	err := p.fill(ctx, s.queued)
	importing, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { p.importAll(importing, s.objects) })
	if err := errors.Join(err, syscall.Kill(p.bravo.PID(), syscall.SIGCONT)); err != nil {
		return err
	}
	for _, side := range []struct {
		of    *relays.Nation
		moves func(report.Report) bool
	}{
		{p.alfa, func(r report.Report) bool { return queued(r) < int64(s.queued) }},
		{p.bravo, func(r report.Report) bool { return len(r.Imports) == 1 && r.Imports[0].Stored > 0 }},
	} {
		if err := p.until(ctx, side.of, side.moves); err != nil {
			return err
		}
	}
	var empty atomic.Bool
	running.Go(func() {
		_ = p.until(importing, p.alfa, func(r report.Report) bool { return queued(r) < askers })
		empty.Store(true)
	})
	before, stored, begun := p.waiting(ctx), p.imported.Load(), time.Now()
	if err := p.flashes(ctx, s.busy-len(*busy), busy, func() bool { return !empty.Load() }); err != nil {
		return err
	}
	p.left, p.stored, p.loaded = p.left+before-p.waiting(ctx), p.stored+p.imported.Load()-stored, p.loaded+time.Since(begun)
	return p.until(ctx, p.alfa, func(r report.Report) bool { return queued(r) == 0 })
}

// waiting is how many messages alfa has queued.
func (p *pair) waiting(ctx context.Context) int64 {
	r, err := p.alfa.Report(ctx)
	if err != nil {
		return 0
	}
	return queued(r)
}

// importAll imports everything again and again, each time under another name.
func (p *pair) importAll(ctx context.Context, objects int) {
	for ctx.Err() == nil {
		name := fmt.Sprintf("%s-%d", feedName, time.Now().UnixNano())
		p.bravo.Config.Imports = []config.Import{{Name: name, Peer: "alfa", Collection: feedName, MaxObjects: 2_000_000}}
		if p.bravo.Write() != nil {
			return
		}
		before := p.imported.Load()
		_ = p.until(ctx, p.bravo, func(r report.Report) bool {
			if len(r.Imports) != 1 || r.Imports[0].Name != name {
				return false
			}
			p.imported.Store(before + r.Imports[0].Stored)
			return r.Imports[0].Stored == int64(objects)
		})
	}
}

// fill stores ROUTINE messages at alfa.
func (p *pair) fill(ctx context.Context, messages int) error {
	var left atomic.Int64
	left.Store(int64(messages))
	errs := make(chan error, askers)
	var hands sync.WaitGroup
	for range askers {
		client, err := p.alfa.Client()
		if err != nil {
			return err
		}
		hands.Go(func() {
			defer client.Close()
			for left.Add(-1) >= 0 {
				if _, err := client.Send(ctx, request("ROUTINE")); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	hands.Wait()
	close(errs)
	return <-errs
}

// flashes sends FLASH messages one after the other while wanted, and adds their times in ms.
func (p *pair) flashes(ctx context.Context, messages int, took *[]float64, wanted func() bool) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for i := 0; i < messages && wanted(); i++ {
		r, begun := request("FLASH"), time.Now()
		if _, err := p.alfa.Desk().Send(ctx, r); err != nil {
			return err
		}
		for {
			m, err := p.alfa.Desk().Get(ctx, relayclient.Out, bravoDomain, r.ID)
			if err != nil {
				return err
			}
			if m.State != "Queued" {
				break
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
		}
		*took = append(*took, float64(time.Since(begun).Nanoseconds())/1e6)
	}
	return nil
}
