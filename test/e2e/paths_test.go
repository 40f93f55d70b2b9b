// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/test/scenario"
)

// way is a path: an address of one CERT that the other dials.
type way struct {
	dials, accepts *scenario.Party
	address        string
}

func (w way) String() string { return w.dials.Name + "_dials_" + w.address }

// ways lists all paths of the link: two addresses of each side.
func ways(t *testing.T) (all []way) {
	t.Helper()
	for _, pair := range [][2]*scenario.Party{{alfa, bravo}, {bravo, alfa}} {
		local, err := pair[1].Local(t.Context())
		must(t, err)
		for _, address := range local.Status.Addresses {
			all = append(all, way{dials: pair[0], accepts: pair[1], address: address})
		}
	}
	return all
}

func (w way) cut(ctx context.Context) error {
	return scenario.CutPath(ctx, w.dials.Cluster, w.accepts.Cluster, w.address)
}

// path finds a way in the status of one of its sides.
func (w way) path(p *scenario.Party, peer v1alpha1.PeerCERT) (v1alpha1.PeerPath, error) {
	direction := v1alpha1.PathDialed
	if p == w.accepts {
		direction = v1alpha1.PathAccepted
	}
	for _, path := range peer.Status.Paths {
		if path.Address == w.address && path.Direction == direction {
			return path, nil
		}
	}
	return v1alpha1.PeerPath{}, fmt.Errorf("%s shows no path %s %s: %s", p.Name, direction, w.address, describePaths(peer))
}

func describePaths(peer v1alpha1.PeerCERT) string {
	var words []string
	for _, path := range peer.Status.Paths {
		words = append(words, fmt.Sprintf("%s %s is %s (out %s, in %s)", path.Direction, path.Address, path.State, path.Outbound, path.Inbound))
	}
	return strings.Join(words, "; ")
}

// watch waits until both sides show something.
func watch(t *testing.T, limit time.Duration, what string, look func(p *scenario.Party, peer v1alpha1.PeerCERT) error) {
	t.Helper()
	err := both(within(t, limit), func(ctx context.Context, p, other *scenario.Party) error {
		return scenario.Poll(ctx, p.Name+" shows "+what, func(ctx context.Context) error {
			var peer v1alpha1.PeerCERT
			if err := p.Client.Get(ctx, p.Key(other.Name), &peer); err != nil {
				return err
			}
			return look(p, peer)
		})
	})
	must(t, err)
}

// noPathDown waits until every path is alive again on both sides, proven for long
// enough or not.
func noPathDown(t *testing.T) {
	t.Helper()
	all := ways(t)
	watch(t, patience, "no path down", func(p *scenario.Party, peer v1alpha1.PeerCERT) error {
		for _, w := range all {
			path, err := w.path(p, peer)
			if err != nil {
				return err
			}
			if path.State != v1alpha1.PathUp && path.State != v1alpha1.PathRecovering {
				return fmt.Errorf("%s: %s", w, describePaths(peer))
			}
		}
		return scenario.All(peer.Status.Conditions, peer.Generation, scenario.True(v1alpha1.ConditionConnected)...)
	})
}

// redundant waits until two paths have been up for long enough on both sides.
func redundant(t *testing.T) {
	t.Helper()
	watch(t, 90*time.Second, "that the link is redundant", func(_ *scenario.Party, peer v1alpha1.PeerCERT) error {
		err := scenario.All(peer.Status.Conditions, peer.Generation, scenario.True(v1alpha1.ConditionConnected, v1alpha1.ConditionRedundant)...)
		if err != nil {
			return fmt.Errorf("%w; %s", err, describePaths(peer))
		}
		return nil
	})
}

// TestThePathsOfTheLink cuts each path, all but one, and one direction of one,
// and makes all bad: the link stays, messages go on and arrive once.
func TestThePathsOfTheLink(t *testing.T) {
	if !needsHarness(t, "cutting paths apart") {
		return
	}
	all := ways(t)
	if len(all) != 4 {
		t.Fatalf("the link has the paths %v, want two in each direction", all)
	}
	connected(t)
	noPathDown(t)
	cleanup(t, scenario.Restore)
	type fault struct {
		name    string
		inflict func(context.Context) error
		// shown says what is missing on one side while the fault lasts.
		shown func(*scenario.Party, v1alpha1.PeerCERT) error
	}
	var faults []fault
	for _, w := range all {
		faults = append(faults, fault{w.String() + "_is_cut", w.cut, func(p *scenario.Party, peer v1alpha1.PeerCERT) error {
			return onlyDown(p, peer, w)
		}})
	}
	for _, last := range []way{all[0], all[3]} {
		rest := slices.DeleteFunc(slices.Clone(all), func(w way) bool { return w == last })
		faults = append(faults, fault{"all_but_" + last.String() + "_are_cut", func(ctx context.Context) error {
			return errors.Join(rest[0].cut(ctx), rest[1].cut(ctx), rest[2].cut(ctx))
		}, func(p *scenario.Party, peer v1alpha1.PeerCERT) error {
			return errors.Join(onlyDown(p, peer, rest...), scenario.All(peer.Status.Conditions, peer.Generation,
				scenario.Want{Type: v1alpha1.ConditionRedundant, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonPathDown}))
		}})
	}
	one := all[1]
	faults = append(faults, fault{one.String() + "_in_one_direction_only_is_cut", func(ctx context.Context) error {
		return scenario.CutPathOneWay(ctx, one.dials.Cluster, one.accepts.Cluster, one.address)
	}, func(p *scenario.Party, peer v1alpha1.PeerCERT) error { return deaf(p, peer, one) }})

	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			cleanup(t, scenario.Restore)
			goes := goOn(t)
			must(t, f.inflict(t.Context()))
			start := time.Now()
			watch(t, 20*time.Second, f.name, f.shown)
			t.Logf("both sides show it %.2fs after the cut", time.Since(start).Seconds())
			stays(t, 2*time.Second)
			must(t, scenario.Restore(t.Context()))
			noPathDown(t)
			goes.end()
		})
	}
	t.Run("all_are_slow_and_lose_packets", func(t *testing.T) {
		cleanup(t, scenario.Restore)
		goes := goOn(t)
		must(t, scenario.Worsen(t.Context(), alfa.Cluster, bravo.Cluster, 150*time.Millisecond, 5))
		stays(t, 10*time.Second)
		everythingCrosses(t, "slow")
		stays(t, time.Second)
		must(t, scenario.Restore(t.Context()))
		goes.end()
	})
	redundant(t)
	settled(t)
}

// A relay that is killed is back with its links and services by itself, and no
// message is lost. TestKilledRelaysLoseNothing kills both at once.
func TestAKilledRelayTakesUpItsTunnelsAgain(t *testing.T) {
	if !needsHarness(t, "services") {
		return
	}
	connected(t)
	for _, p := range []*scenario.Party{alfa, bravo} {
		t.Run(p.Name, func(t *testing.T) {
			goes := goOn(t)
			must(t, kill(t.Context(), p))
			start := time.Now()
			for _, s := range goes.streams {
				err := scenario.Poll(within(t, patience), "bytes go through the services anew", func(context.Context) error {
					if s.mended.Load() == 0 {
						return fmt.Errorf("the byte stream of %s is not mended", s.at.Name)
					}
					return nil
				})
				must(t, err)
			}
			t.Logf("byte streams go on %.1fs after the kill", time.Since(start).Seconds())
			goes.end()
			noPathDown(t)
		})
	}
	settled(t)
}

// onlyDown says whether exactly these paths are down in the status of one side, with
// the link up.
func onlyDown(p *scenario.Party, peer v1alpha1.PeerCERT, cut ...way) error {
	for _, w := range cut {
		path, err := w.path(p, peer)
		if err != nil {
			return err
		}
		if path.State != v1alpha1.PathDown {
			return fmt.Errorf("%s is %s", w, path.State)
		}
	}
	for _, path := range peer.Status.Paths {
		isCut := slices.ContainsFunc(cut, func(w way) bool { return w.address == path.Address })
		if !isCut && path.State == v1alpha1.PathDown {
			return fmt.Errorf("%s is down, too: %s", path.Address, describePaths(peer))
		}
	}
	return scenario.All(peer.Status.Conditions, peer.Generation, scenario.True(v1alpha1.ConditionConnected)...)
}

// deaf says whether the side that dials sees that it is not heard, and the other
// that it hears nothing.
func deaf(p *scenario.Party, peer v1alpha1.PeerCERT, w way) error {
	path, err := w.path(p, peer)
	if err != nil {
		return err
	}
	state, name := path.Outbound, "outbound"
	if p == w.accepts {
		state, name = path.Inbound, "inbound"
	}
	if state != v1alpha1.PathDown {
		return fmt.Errorf("%s of %s is %s: %s", name, w, state, describePaths(peer))
	}
	return scenario.All(peer.Status.Conditions, peer.Generation, scenario.True(v1alpha1.ConditionConnected)...)
}

// stays looks all the time whether both sides stay connected.
func stays(t *testing.T, limit time.Duration) {
	t.Helper()
	deadline := time.Now().Add(limit)
	err := both(within(t, limit+patience), func(ctx context.Context, p, other *scenario.Party) error {
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for time.Now().Before(deadline) {
			var peer v1alpha1.PeerCERT
			if err := p.Client.Get(ctx, p.Key(other.Name), &peer); err != nil {
				return err
			}
			if err := scenario.All(peer.Status.Conditions, peer.Generation, scenario.True(v1alpha1.ConditionConnected)...); err != nil {
				return fmt.Errorf("%s did not stay connected: %w; %s", p.Name, err, describePaths(peer))
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	must(t, err)
}
