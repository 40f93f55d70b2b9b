// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/report"
)

// allFailovers measures on both kinds of network.
func (b *bench) allFailovers(ctx context.Context) error {
	for _, q := range []quality{far, loopback} {
		took, err := b.failOver(ctx, q)
		if err != nil {
			return err
		}
		for _, precedence := range precedences {
			name := "failover.hotline_ms"
			if precedence == flash {
				name = "failover.hotline_flash_ms"
			}
			if q != far {
				name += "." + q.name
			}
			b.figures.Add(name, "ms", "", took[precedence])
			b.figures.AddQuantile(name+"_p99", "ms", "", took[precedence], 0.99)
		}
	}
	return nil
}

// The precedences in turn: IMMEDIATE goes over the next path when the first is slow,
// FLASH over all at once.
const flash = "FLASH"

var precedences = []string{"IMMEDIATE", flash}

// failOver cuts the preferred of two paths and sends a hotline message in the same moment, again and again.
func (b *bench) failOver(ctx context.Context, q quality) (map[string][]float64, error) {
	w, err := b.found(ctx, q, 2, "alfa", "bravo")
	if err != nil {
		return nil, err
	}
	defer w.close()
	say("failover on %s", q.name)
	alfa, bravo := w.net.Host("alfa"), w.net.Host("bravo")
	took := map[string][]float64{}
	for i := range b.failovers {
		precedence := precedences[i%len(precedences)]
		if err := errors.Join(w.calm(ctx, 0), w.calm(ctx, 1)); err != nil {
			return nil, err
		}
		preferred, err := w.preferred()
		if err != nil {
			return nil, err
		}
		pause(ctx, rand.N(500*time.Millisecond))
		at := time.Now()
		if err := w.net.Cut(w.between(alfa, bravo, preferred)...); err != nil {
			return nil, err
		}
		arrived, err := w.deliver(ctx, precedence)
		if err != nil {
			return nil, err
		}
		took[precedence] = append(took[precedence], milliseconds(arrived.Sub(at)))
		say("path %d cut, %s delivered after %s", preferred, precedence, arrived.Sub(at).Round(time.Millisecond))
		pause(ctx, 2*time.Second) // so that both sides see the cut
		if err := w.bend(alfa, bravo, preferred); err != nil {
			return nil, err
		}
	}
	return took, nil
}

// preferred is the path that alfa's requests take: the first that is Up, else the first.
func (w *world) preferred() (int, error) {
	for p := range 2 {
		t, err := w.journal[0].last("bravo", w.address("bravo", p))
		if err != nil || t.To == report.Up {
			return p, err
		}
	}
	return 0, nil
}

// deliver sends a message from alfa and returns when it lay at bravo's desk.
func (w *world) deliver(ctx context.Context, precedence string) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	id := ulid.Make().String()
	request := desk.SendRequest{ID: id, Hotline: "bravo", Subject: "failover", Text: "failover", Officer: "bench", Precedence: precedence}
	if _, err := w.nations[0].Desk().Send(ctx, request); err != nil {
		return time.Time{}, err
	}
	for ctx.Err() == nil {
		_, err := w.nations[1].Desk().Get(ctx, relayclient.In, w.nations[0].CA.TrustDomain, id)
		if err == nil {
			return time.Now(), nil
		}
		pause(ctx, 2*time.Millisecond)
	}
	return time.Time{}, fmt.Errorf("waiting for a message after a cut: %w", ctx.Err())
}
