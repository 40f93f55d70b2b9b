// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/certlink/certlink/api/v1alpha1"
)

// interval is the time between two looks.
const interval = 100 * time.Millisecond

// Poll looks until look returns nil, or ctx ends; the error then says what was
// awaited and why it was not there at the last look.
func Poll(ctx context.Context, awaited string, look func(context.Context) error) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var last error
	for {
		err := look(ctx)
		if err == nil {
			return nil
		}
		if last == nil || !isEnd(err) {
			last = err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w: %w", awaited, ctx.Err(), last)
		}
	}
}

// isEnd tells whether an error says only that the time is over.
func isEnd(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		strings.Contains(err.Error(), "would exceed context deadline") // of client-go's rate limiter
}

// Want is a condition that is awaited. Empty parts do not matter.
type Want struct {
	Type   string
	Status metav1.ConditionStatus
	Reason string
}

func (w Want) String() string {
	text := w.Type + "=" + string(w.Status)
	if w.Reason != "" {
		text += " (" + w.Reason + ")"
	}
	return text
}

func (w Want) met(conditions []metav1.Condition, generation int64) error {
	c := meta.FindStatusCondition(conditions, w.Type)
	switch {
	case c == nil:
		return fmt.Errorf("condition %s is absent", w.Type)
	case c.ObservedGeneration < generation:
		return fmt.Errorf("condition %s is about generation %d, not %d", w.Type, c.ObservedGeneration, generation)
	case c.Status != w.Status, w.Reason != "" && c.Reason != w.Reason:
		return fmt.Errorf("condition is %s=%s (%s): %s", c.Type, c.Status, c.Reason, c.Message)
	}
	return nil
}

// True awaits conditions with status True.
func True(types ...string) []Want {
	wants := make([]Want, 0, len(types))
	for _, t := range types {
		wants = append(wants, Want{Type: t, Status: metav1.ConditionTrue})
	}
	return wants
}

// All checks conditions that are about the given generation or a later one.
func All(conditions []metav1.Condition, generation int64, wants ...Want) error {
	var faults []error
	for _, w := range wants {
		faults = append(faults, w.met(conditions, generation))
	}
	return errors.Join(faults...)
}

// AwaitLocal waits for conditions of our LocalCERT.
func (p *Party) AwaitLocal(ctx context.Context, wants ...Want) (cert v1alpha1.LocalCERT, err error) {
	err = Poll(ctx, fmt.Sprintf("LocalCERT %q has %v", p.Name, wants), func(ctx context.Context) error {
		cert = v1alpha1.LocalCERT{}
		if err := p.Client.Get(ctx, p.Key(p.Name), &cert); err != nil {
			return err
		}
		return All(cert.Status.Conditions, cert.Generation, wants...)
	})
	return cert, err
}

// AwaitPeer waits for conditions of a PeerCERT.
func (p *Party) AwaitPeer(ctx context.Context, name string, wants ...Want) (peer v1alpha1.PeerCERT, err error) {
	err = Poll(ctx, fmt.Sprintf("PeerCERT %q in %s has %v", name, p.Name, wants), func(ctx context.Context) error {
		peer = v1alpha1.PeerCERT{}
		if err := p.Client.Get(ctx, p.Key(name), &peer); err != nil {
			return err
		}
		return All(peer.Status.Conditions, peer.Generation, wants...)
	})
	return peer, err
}

// AwaitFeed waits until a SharedFeed is as it should be.
func (p *Party) AwaitFeed(ctx context.Context, name string, look func(v1alpha1.SharedFeed) error) (feed v1alpha1.SharedFeed, err error) {
	err = Poll(ctx, fmt.Sprintf("SharedFeed %q in %s is as it should be", name, p.Name), func(ctx context.Context) error {
		feed = v1alpha1.SharedFeed{}
		if err := p.Client.Get(ctx, p.Key(name), &feed); err != nil {
			return err
		}
		return look(feed)
	})
	return feed, err
}

// AwaitHotline waits until a Hotline is as it should be.
func (p *Party) AwaitHotline(ctx context.Context, name string, look func(v1alpha1.Hotline) error) (hotline v1alpha1.Hotline, err error) {
	err = Poll(ctx, fmt.Sprintf("Hotline %q in %s is as it should be", name, p.Name), func(ctx context.Context) error {
		hotline = v1alpha1.Hotline{}
		if err := p.Client.Get(ctx, p.Key(name), &hotline); err != nil {
			return err
		}
		return look(hotline)
	})
	return hotline, err
}

// Number is a count of a status, -1 if it is not there.
func Number(n *int64) int64 {
	if n == nil {
		return -1
	}
	return *n
}
