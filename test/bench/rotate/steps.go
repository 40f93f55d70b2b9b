// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/test/bench/relays"
)

// between is the load's time between two steps.
const between = time.Second

// hash names a CA certificate as the report does.
func hash(ca *testca.CA) string {
	sum := sha256.Sum256(ca.Root.Raw)
	return hex.EncodeToString(sum[:])
}

// renew issues every certificate of a side anew by a CA, and waits until the relay
// shows the new one.
func renew(ctx context.Context, n *relays.Nation, ca *testca.CA) error {
	before, err := n.Report(ctx)
	if err != nil {
		return err
	}
	if err := ca.WriteNation(n.TLS("")); err != nil {
		return err
	}
	if err := n.Reconnect(); err != nil {
		return err
	}
	err = n.Until(ctx, "shows its new certificates", func(r report.Report) bool {
		return r.Identity.Serial != before.Identity.Serial && r.Identity.Root == hash(ca)
	})
	wait(ctx)
	return err
}

// replaceRoot does what the operator does: distribute, issue, retire.
func replaceRoot(ctx context.Context, n *relays.Nation) error {
	last := n.CA
	next, err := testca.Make(last.TrustDomain, testca.Options{})
	if err != nil {
		return err
	}
	n.Config.Identity.Bundle = last.Bundle() + next.Bundle()
	if err := n.Write(); err != nil {
		return err
	}
	if err := n.Until(ctx, "has its next root accepted", everyOffer(func(o *report.Offer) bool {
		return slices.Contains(o.AcceptedRoots, hash(next))
	})); err != nil {
		return err
	}
	wait(ctx)
	if err := renew(ctx, n, next); err != nil {
		return err
	}
	if err := n.Until(ctx, "has its new leaf seen", everyOffer(func(o *report.Offer) bool {
		return o.SeenRoot == hash(next)
	})); err != nil {
		return err
	}
	n.Config.Identity.Bundle = next.Bundle()
	if err := n.Write(); err != nil {
		return err
	}
	n.CA = next
	err = n.Until(ctx, "has its old root forgotten", everyOffer(func(o *report.Offer) bool {
		return !slices.Contains(o.AcceptedRoots, hash(last))
	}))
	wait(ctx)
	return err
}

// everyOffer is true when each peer's offer meets a condition.
func everyOffer(condition func(*report.Offer) bool) func(report.Report) bool {
	return func(r report.Report) bool {
		for _, p := range r.Peers {
			if p.Offer == nil || !condition(p.Offer) {
				return false
			}
		}
		return len(r.Peers) > 0
	}
}

// wait lets the load run for a while.
func wait(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(between):
	}
}
