// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/test/bench/figures"
)

// hotline times messages from alfa to bravo, one after the other, from the request to
// the verified receipt: on an idle link, and while bravo imports without a pause.
func (b *bench) hotline(ctx context.Context) error {
	dir := filepath.Join(b.dir, "hotline")
	defer os.RemoveAll(dir)
	w, err := found(ctx, dir, b.binary, nil)
	if err != nil {
		return err
	}
	defer w.stop()
	if err := w.push(ctx, indicators{}, b.scale.hotline); err != nil {
		return err
	}
	if _, err := w.roundTrips(ctx, b.scale.messages/10); err != nil { // warm
		return err
	}
	idle, err := w.roundTrips(ctx, b.scale.messages)
	if err != nil {
		return err
	}
	busy, err := w.underFeed(ctx, b.scale)
	if err != nil {
		return err
	}
	b.results.AddValue("hotline.p99_ratio_under_feed", "ratio", "<= 2", figures.Quantile(busy, 0.99)/figures.Quantile(idle, 0.99), len(busy))
	b.results.AddQuantile("hotline.p99_ms.idle", "ms", "", idle, 0.99)
	b.results.AddQuantile("hotline.p99_ms.under_feed", "ms", "", busy, 0.99)
	b.results.Add("hotline.p50_ms.idle", "ms", "", idle)
	b.results.Add("hotline.p50_ms.under_feed", "ms", "", busy)
	return nil
}

// underFeed sends while bravo imports everything again and again, each time under
// another name. Round trips that end after the last import do not count.
func (w *world) underFeed(ctx context.Context, s scale) (busy []float64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	importing := make(chan error, 1)
	go func() {
		for n := 0; ; n++ {
			if err := w.pull(ctx, fmt.Sprintf("threats-%d", n), s.hotline); err != nil {
				importing <- err
				return
			}
		}
	}()
	busy, err = w.roundTrips(ctx, s.messages)
	cancel()
	if ended := <-importing; !errors.Is(ended, context.Canceled) {
		err = errors.Join(err, ended)
	}
	return busy, err
}

// roundTrips sends messages one after the other and returns their times in ms.
func (w *world) roundTrips(ctx context.Context, messages int) (took []float64, err error) {
	for range messages {
		begun := time.Now()
		request := desk.SendRequest{
			ID: ulid.Make().String(), Hotline: "bravo", Subject: "load", Text: "load", Officer: "bench", Precedence: "IMMEDIATE",
		}
		if _, err := w.alfa.Desk().Send(ctx, request); err != nil {
			return nil, err
		}
		if err := w.receipted(ctx, request.ID); err != nil {
			return nil, err
		}
		took = append(took, float64(time.Since(begun).Microseconds())/1000)
	}
	return took, nil
}

func (w *world) receipted(ctx context.Context, id string) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		m, err := w.alfa.Desk().Get(ctx, relayclient.Out, w.bravo.CA.TrustDomain, id)
		if err != nil {
			return err
		}
		if m.State != "Queued" {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
