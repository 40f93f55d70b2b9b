// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package peercert makes a PeerCERT true: the peer is part of our relay's
// configuration as declared, and its conditions say what the relay proved about
// the link.
//
// It writes nothing but the status of PeerCERTs: the controller of LocalCERT
// writes the relay's configuration.
package peercert

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/lookup"
	"github.com/certlink/certlink/controllers/internal/loop"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/internal/status"
)

// fieldOwner is the field manager of this controller.
const fieldOwner client.FieldOwner = "certlink-peercert"

// Reconciler keeps a PeerCERT true: trusted as declared, with an honest word
// about the link.
type Reconciler struct {
	loop.Base
	Hub     *reports.Hub
	Metrics *Metrics
}

// +kubebuilder:rbac:groups=certlink.dev,resources=peercerts/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	return loop.Run(ctx, r.Base, req, loop.For[*v1alpha1.PeerCERT]{
		Owner: fieldOwner,
		New:   func() *v1alpha1.PeerCERT { return &v1alpha1.PeerCERT{} },
		Status: func(p *v1alpha1.PeerCERT) loop.Status {
			return loop.Status{Conditions: &p.Status.Conditions, ObservedGeneration: &p.Status.ObservedGeneration}
		},
		Telling: []string{
			v1alpha1.ConditionConnected, v1alpha1.ConditionReady, v1alpha1.ConditionPeerAccepted, v1alpha1.ConditionTrustInSync,
		},
		Sync: r.sync,
		Gone: r.Metrics.forget,
	})
}

func (r *Reconciler) sync(ctx context.Context, p *v1alpha1.PeerCERT, edit *status.Editor) (loop.Outcome, error) {
	s, err := r.observe(ctx, p)
	if err != nil {
		pending(edit)
		return loop.Outcome{}, err
	}
	outcome := report(p, s, edit, r.Now())
	r.Metrics.observe(p)
	return outcome, nil
}

// seen is everything that the status of a PeerCERT depends on.
type seen struct {
	local    *v1alpha1.LocalCERT
	bundle   relayconfig.Bundle
	siblings []v1alpha1.PeerCERT // with the same trust domain
	view     reports.View
}

func (r *Reconciler) observe(ctx context.Context, p *v1alpha1.PeerCERT) (*seen, error) {
	s := &seen{view: r.Hub.View(p.Namespace)}
	var errLocal, errBundle error
	s.local, errLocal = lookup.Local(ctx, r.Client, p.Namespace)
	s.bundle, errBundle = lookup.Bundle(ctx, r.Direct, p)
	var same v1alpha1.PeerCERTList
	errSame := r.Client.List(ctx, &same, client.InNamespace(p.Namespace),
		client.MatchingFields{lookup.ByTrustDomain: p.Spec.Identity.TrustDomain})
	for _, item := range same.Items {
		if item.DeletionTimestamp.IsZero() {
			s.siblings = append(s.siblings, item)
		}
	}
	return s, errors.Join(errLocal, errBundle, errSame)
}

// SetupWithManager adds the controller to a manager.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	spec := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	peers := lookup.Of(r.Client, &v1alpha1.PeerCERTList{})
	err := ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.PeerCERT{}, spec).
		Watches(&v1alpha1.PeerCERT{}, handler.EnqueueRequestsFromMapFunc(peers.By(lookup.ByTrustDomain, trustDomain)), spec).
		Watches(&v1alpha1.LocalCERT{}, handler.EnqueueRequestsFromMapFunc(peers.All), spec).
		WatchesMetadata(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(peers.By(lookup.ByBundle, client.Object.GetName))).
		WatchesRawSource(r.Hub.Source(reports.PeerCERTs, peers.Names)).
		WithOptions(options).
		Named("peercert").
		Complete(r)
	if err != nil {
		return fmt.Errorf("setting up the PeerCERT controller: %w", err)
	}
	return nil
}

// trustDomain of a PeerCERT, by which those that stand in each other's way are found.
func trustDomain(o client.Object) string {
	if p, ok := o.(*v1alpha1.PeerCERT); ok {
		return p.Spec.Identity.TrustDomain
	}
	return ""
}
