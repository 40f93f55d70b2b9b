// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/test/scenario"
)

func TestLink(t *testing.T) {
	connected(t)
	for _, pair := range [][2]*scenario.Party{{alfa, bravo}, {bravo, alfa}} {
		p, other := pair[0], pair[1]
		t.Run(p.Name+"_has_hybrid_post_quantum_TLS_1.3_to_"+other.Name, func(t *testing.T) {
			err := scenario.Poll(within(t, patience), "the TLS session is in the status", func(ctx context.Context) error {
				peer, err := p.AwaitPeer(ctx, other.Name, scenario.True(v1alpha1.ConditionReady, v1alpha1.ConditionConnected)...)
				if err != nil {
					return err
				}
				if tls := peer.Status.TLS; tls == nil || tls.Version != "TLS 1.3" || tls.Group != "X25519MLKEM768" {
					return fmt.Errorf("the session is %+v", tls)
				}
				return nil
			})
			must(t, err)
		})
		t.Run(p.Name+"_measures_the_round_trip", func(t *testing.T) {
			client := desk(t, p)
			// On a busy machine all paths may be in their hold, which is a minute at most.
			err := scenario.Poll(within(t, patience+time.Minute), "a round trip is in the report", func(ctx context.Context) error {
				r, err := scenario.Report(ctx, client)
				if err != nil {
					return err
				}
				for _, peer := range r.Peers {
					for _, path := range peer.Paths {
						if path.State == report.Up && path.RoundTripMilliseconds > 0 {
							t.Logf("%s to %s: %.2f ms", p.Name, path.Address, path.RoundTripMilliseconds)
							return nil
						}
					}
				}
				return fmt.Errorf("the peers are %+v", r.Peers)
			})
			must(t, err)
		})
	}
}

// A cut is noticed within the declared budget, on both sides, and so is its end.
func TestACutPathIsNoticedInTime(t *testing.T) {
	if !needsHarness(t, "cutting the path") {
		return
	}
	connected(t)
	cleanup(t, scenario.Restore)
	for name, cut := range map[string]func(context.Context) error{
		"both_directions": func(ctx context.Context) error { return scenario.Cut(ctx, alfa.Cluster, bravo.Cluster) },
		"one_direction":   func(ctx context.Context) error { return scenario.CutOneWay(ctx, alfa.Cluster, bravo.Cluster) },
	} {
		t.Run(name, func(t *testing.T) {
			must(t, cut(t.Context()))
			start := time.Now()
			err := both(within(t, patience), func(ctx context.Context, p, other *scenario.Party) error {
				peer, err := p.AwaitPeer(ctx, other.Name, scenario.Want{Type: v1alpha1.ConditionConnected, Status: metav1.ConditionFalse})
				if err != nil {
					return err
				}
				took := time.Since(start)
				// One second for report, operator and API server.
				limit := time.Duration(peer.Status.DetectionMilliseconds)*time.Millisecond + time.Second
				t.Logf("%s noticed after %.1fs, the declared budget is %dms", p.Name, took.Seconds(), peer.Status.DetectionMilliseconds)
				if peer.Status.DetectionMilliseconds == 0 || took > limit {
					return fmt.Errorf("%s noticed after %s, which is more than %s", p.Name, took, limit)
				}
				return scenario.All(peer.Status.Conditions, peer.Generation, scenario.True(v1alpha1.ConditionReady)...)
			})
			must(t, err)
			must(t, scenario.Restore(t.Context()))
			start = time.Now()
			connected(t)
			t.Logf("both sides are connected %.1fs after the path was healed", time.Since(start).Seconds())
		})
	}
}
