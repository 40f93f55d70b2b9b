// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/test/scenario"
)

// rotated bounds the replacement of a root between two CERTs that answer.
const rotated = 2 * time.Minute

// newRoot asks for the next root and returns the one before.
func newRoot(t *testing.T, p *scenario.Party) (before string) {
	t.Helper()
	err := scenario.Change(t.Context(), p, p.Name, &v1alpha1.LocalCERT{}, func(cert *v1alpha1.LocalCERT) {
		next := cert.Status.Authority.Generation + 1
		before = cert.Status.Authority.Root
		cert.Spec.Authority.Generation = &next
	})
	must(t, err)
	return before
}

// replaced says whether a root has been replaced for good.
func replaced(cert *v1alpha1.LocalCERT, before string) error {
	switch a := cert.Status.Authority; {
	case cert.Status.Rotation != nil:
		return fmt.Errorf("the rotation is at %s: %s", cert.Status.Rotation.Step, cert.Status.Rotation.WaitingFor)
	case a.Root == before, a.Generation != *cert.Spec.Authority.Generation, a.ReplacedRoot != before:
		return fmt.Errorf("the root is %s of generation %d and replaced %s", a.Root, a.Generation, a.ReplacedRoot)
	}
	return scenario.All(cert.Status.Conditions, cert.Generation,
		scenario.True(v1alpha1.ConditionReady, v1alpha1.ConditionCertificatesIssued, v1alpha1.ConditionTrustInSync)...)
}

// awaitRoot waits until a root has been replaced, and tells of the steps.
func awaitRoot(t *testing.T, p *scenario.Party, before string) {
	t.Helper()
	start, step := time.Now(), v1alpha1.RotationStep("")
	err := scenario.Poll(within(t, rotated), "the root of "+p.Name+" is replaced", func(ctx context.Context) error {
		cert, err := p.Local(ctx)
		if err != nil {
			return err
		}
		if r := cert.Status.Rotation; r != nil && r.Step != step {
			step = r.Step
			t.Logf("%5.1fs %s: %s", time.Since(start).Seconds(), step, r.WaitingFor)
		}
		return replaced(cert, before)
	})
	must(t, err)
	t.Logf("%5.1fs replaced", time.Since(start).Seconds())
}

// handOver puts a new card into the peer's PeerCERT, as its people do at leisure.
func handOver(t *testing.T, p, to *scenario.Party) {
	t.Helper()
	must(t, scenario.Introduce(within(t, patience), to, p))
	_, err := to.AwaitPeer(within(t, patience), p.Name, append(scenario.True(v1alpha1.ConditionReady, v1alpha1.ConditionConnected),
		scenario.Want{Type: v1alpha1.ConditionTrustInSync, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonInSync})...)
	must(t, err)
}

// The root of each CERT is replaced over the link, with messages and byte streams
// going on all the time: none is lost, none breaks.
func TestARootIsReplacedUnderTraffic(t *testing.T) {
	connected(t)
	noPathDown(t)
	for _, pair := range [][2]*scenario.Party{{alfa, bravo}, {bravo, alfa}} {
		p, other := pair[0], pair[1]
		t.Run("of_"+p.Name, func(t *testing.T) {
			goes := goOn(t)
			before := newRoot(t, p)
			awaitRoot(t, p, before)
			peer, err := other.AwaitPeer(within(t, patience), p.Name, append(scenario.True(v1alpha1.ConditionReady, v1alpha1.ConditionConnected),
				scenario.Want{Type: v1alpha1.ConditionTrustInSync, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonManifestOutdated})...)
			must(t, err)
			if trust := peer.Status.Trust; trust == nil || trust.Source != v1alpha1.TrustFromOffer {
				t.Errorf("%s says that its trust in %s comes from %+v", other.Name, p.Name, trust)
			}
			if o := goes.end(); o.broken > 0 {
				t.Errorf("%d byte streams were broken", o.broken)
			}
			handOver(t, p, other)
		})
	}
	noPathDown(t)
	settled(t)
}

// With Manual, bravo's people take up alfa's new root: nothing goes on without
// them, and nothing is lost while it waits.
func TestAManualRotationWaitsForAPerson(t *testing.T) {
	connected(t)
	rotation := func(ctx context.Context, how v1alpha1.TrustRotation) error {
		return scenario.Change(ctx, bravo, alfa.Name, &v1alpha1.PeerCERT{}, func(peer *v1alpha1.PeerCERT) { peer.Spec.Trust.Rotation = how })
	}
	cleanup(t, func(ctx context.Context) error {
		return errors.Join(scenario.Introduce(ctx, bravo, alfa), rotation(ctx, v1alpha1.RotationAutomatic))
	})
	must(t, rotation(t.Context(), v1alpha1.RotationManual))
	_, err := bravo.AwaitPeer(within(t, patience), alfa.Name, scenario.True(v1alpha1.ConditionReady, v1alpha1.ConditionTrustInSync)...)
	must(t, err)
	goes := goOn(t)
	before := newRoot(t, alfa)
	offered := offeredBundle(t)
	cert, err := alfa.Local(t.Context())
	must(t, err)
	if r := cert.Status.Rotation; r == nil || r.Step != v1alpha1.StepDistribute || r.WaitingFor == "" || cert.Status.Authority.Root != before {
		t.Fatalf("alfa does not wait for bravo: %+v", r)
	}
	t.Logf("alfa waits: %s", cert.Status.Rotation.WaitingFor)

	// A person compares the fingerprint and pastes, as often as alfa offers another:
	// first both roots, then the new one alone. Who takes a root out by hand cuts
	// what was opened under it; nothing breaks before.
	start, taken := time.Now(), 0
	err = scenario.Poll(within(t, rotated), "the root is replaced", func(ctx context.Context) error {
		if offered != "" {
			if n := goes.mended(); n > 0 {
				t.Errorf("%d byte streams were broken before the old root was taken out", n)
			}
			taken++
			err := scenario.Change(ctx, bravo, alfa.Name, &v1alpha1.PeerCERT{}, func(peer *v1alpha1.PeerCERT) { peer.Spec.Trust.Bundle = offered })
			if err != nil {
				return err
			}
			t.Logf("%5.1fs bravo takes up what alfa offers", time.Since(start).Seconds())
		}
		var peer v1alpha1.PeerCERT
		cert, err := alfa.Local(ctx)
		if err := errors.Join(err, bravo.Client.Get(ctx, bravo.Key(alfa.Name), &peer)); err != nil {
			return err
		}
		next := ""
		if peer.Status.Trust != nil && peer.Status.Trust.OfferedBundle != peer.Spec.Trust.Bundle {
			next = peer.Status.Trust.OfferedBundle
		}
		offered = next
		return replaced(cert, before)
	})
	must(t, err)
	t.Logf("%5.1fs replaced", time.Since(start).Seconds())
	if taken != 2 {
		t.Errorf("bravo's people were asked %d times, want twice", taken)
	}
	goes.end()
	settled(t)
}

// offeredBundle waits until bravo says that alfa offers other CA certificates.
func offeredBundle(t *testing.T) string {
	t.Helper()
	offered := ""
	err := scenario.Poll(within(t, rotated), "bravo says that alfa offers another root", func(ctx context.Context) error {
		var peer v1alpha1.PeerCERT
		if err := bravo.Client.Get(ctx, bravo.Key(alfa.Name), &peer); err != nil {
			return err
		}
		if trust := peer.Status.Trust; trust != nil {
			offered = trust.OfferedBundle
		}
		if offered == "" {
			return errors.New("none is offered")
		}
		return scenario.All(peer.Status.Conditions, peer.Generation, scenario.True(v1alpha1.ConditionConnected)[0],
			scenario.Want{Type: v1alpha1.ConditionTrustInSync, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonBundleOffered})
	})
	must(t, err)
	return offered
}
