// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/store"
)

// dying ends the goroutine that appends, before or after the storage has it: what a
// crash between two steps leaves behind.
type dying struct {
	store.Trust
	after bool
	armed bool
}

func (d *dying) AppendTrust(ctx context.Context, compose func(store.TrustRecord) (store.TrustChange, error)) error {
	if d.armed && !d.after {
		runtime.Goexit()
	}
	err := d.Trust.AppendTrust(ctx, compose)
	if d.armed {
		runtime.Goexit()
	}
	return err
}

func TestACrashBetweenTheStepsOfLearningLosesNothing(t *testing.T) {
	for name, after := range map[string]bool{"before_it_is_stored": false, "between_storing_and_use": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.recorded(0, first...)
			w.crash()
			d := &dying{after: after}
			w.start(func(s store.Trust) store.Trust { d.Trust = s; return d })
			w.recorded(len(first))
			d.armed = true
			done := make(chan struct{})
			go func() { defer close(done); _ = w.learn(7, w.old, w.next) }()
			<-done
			w.inForce("at the moment of the crash", w.old)
			w.restart()
			if !after {
				w.inForce("after the crash", w.old)
				w.recorded(len(first))
				w.mustLearn(8, w.old, w.next) // the peer was told nothing, and offers again
			}
			w.inForce("in the end", w.old, w.next)
			w.recorded(len(first), "BundleLearned bravo.example")
		})
	}
}

// failing refuses to store.
type failing struct {
	store.Trust
	err error
}

func (f *failing) AppendTrust(ctx context.Context, compose func(store.TrustRecord) (store.TrustChange, error)) error {
	if f.err != nil {
		return f.err
	}
	return f.Trust.AppendTrust(ctx, compose)
}

func TestABundleThatCannotBeStoredIsNotUsed(t *testing.T) {
	w := newWorld(t)
	w.recorded(0, first...)
	w.crash()
	f := &failing{}
	w.start(func(s store.Trust) store.Trust { f.Trust = s; return f })
	w.recorded(len(first))
	f.err = store.ErrFull
	if err := w.learn(7, w.old, w.next); !errors.Is(err, store.ErrFull) || !errors.Is(w.keeper.Err(), store.ErrFull) {
		t.Errorf("err = %v, reported %v", err, w.keeper.Err())
	}
	w.inForce("with a full disk", w.old)
	f.err = nil
	w.mustLearn(8, w.old, w.next)
	w.inForce("after room was made", w.old, w.next)
	if w.keeper.Err() != nil {
		t.Error(w.keeper.Err())
	}
}

// A person changes the bundle between the step that stores and the one that uses.
func TestAPersonWhoChangesTheBundleAtTheSameMomentWins(t *testing.T) {
	w := newWorld(t)
	w.recorded(0, first...)
	w.crash()
	m := &meddling{}
	w.start(func(s store.Trust) store.Trust { m.Trust = s; return m })
	w.recorded(len(first))
	m.then = func() { w.apply(func(c *config.Config) { c.Peers[0].Bundle = w.next.Bundle() }) }
	if err := w.learn(7, w.old); !errors.Is(err, identity.ErrBase) {
		t.Errorf("err = %v", err)
	}
	w.inForce("the person's word", w.next)
	want := []string{"BundleLearned bravo.example", "BundleChanged bravo.example"}
	w.recorded(len(first), want...)
	w.restart()
	w.inForce("after a restart", w.next)
	w.recorded(len(first), want...)
}

type meddling struct {
	store.Trust
	then func()
}

func (m *meddling) AppendTrust(ctx context.Context, compose func(store.TrustRecord) (store.TrustChange, error)) error {
	err := m.Trust.AppendTrust(ctx, compose)
	if then := m.then; then != nil {
		m.then = nil
		then()
	}
	return err
}
