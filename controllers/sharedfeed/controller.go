// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package sharedfeed makes a SharedFeed true: it is part of our relay's
// configuration as declared, and its conditions and counts say what the relay
// does with it.
//
// It writes nothing but the status of SharedFeeds: the controller of LocalCERT
// writes the relay's configuration.
package sharedfeed

import (
	"context"
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
const fieldOwner client.FieldOwner = "certlink-sharedfeed"

// Reconciler keeps a SharedFeed true.
type Reconciler struct {
	loop.Base
	Hub *reports.Hub

	undecided since
	// contents of the ConfigMaps that feeds name: only their keys count here.
	contents lookup.Memory
}

// +kubebuilder:rbac:groups=certlink.dev,resources=sharedfeeds/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	return loop.Run(ctx, r.Base, req, loop.For[*v1alpha1.SharedFeed]{
		Owner: fieldOwner,
		New:   func() *v1alpha1.SharedFeed { return &v1alpha1.SharedFeed{} },
		Status: func(f *v1alpha1.SharedFeed) loop.Status {
			return loop.Status{Conditions: &f.Status.Conditions, ObservedGeneration: &f.Status.ObservedGeneration}
		},
		Telling: []string{
			v1alpha1.ConditionDelivering, v1alpha1.ConditionReady, v1alpha1.ConditionFresh, v1alpha1.ConditionQuarantined, v1alpha1.ConditionPeerAccepted,
		},
		Sync: r.sync,
		Gone: r.undecided.forget,
	})
}

func (r *Reconciler) sync(ctx context.Context, f *v1alpha1.SharedFeed, edit *status.Editor) (loop.Outcome, error) {
	s, err := r.observe(ctx, f)
	if err != nil {
		return loop.Outcome{}, err
	}
	outcome := report(f, s, edit, r.Now())
	if lookup.HasSecret(lookup.ObjectsOf(s.references)) {
		outcome.Again = lookup.Soonest(outcome.Again, lookup.SecretsAgain)
	}
	return outcome, nil
}

func (r *Reconciler) observe(ctx context.Context, f *v1alpha1.SharedFeed) (*seen, error) {
	s := &seen{view: r.Hub.View(f.Namespace)}
	var err error
	if s.local, err = lookup.Local(ctx, r.Client, f.Namespace); err != nil {
		return nil, err
	}
	if s.peers, err = lookup.Peers(ctx, r.Client, f.Namespace, lookup.FeedPeers(f)...); err != nil {
		return nil, err
	}
	s.references = relayconfig.FeedReferences(f)
	contents, err := r.contents.Read(ctx, r.Client, r.Direct, f.Namespace, lookup.ObjectsOf(s.references))
	if err != nil {
		return nil, err
	}
	s.there = contents.Keys
	if e := s.exported(f.Name); e != nil {
		s.undecidedFor = r.undecided.holds(client.ObjectKeyFromObject(f), e.Undecided > 0, r.Now())
	}
	return s, nil
}

// SetupWithManager adds the controller to a manager.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	spec := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	feeds := lookup.Of(r.Client, &v1alpha1.SharedFeedList{})
	err := ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.SharedFeed{}, spec).
		Watches(&v1alpha1.PeerCERT{}, handler.EnqueueRequestsFromMapFunc(feeds.By(lookup.ByPeer, client.Object.GetName)), spec).
		Watches(&v1alpha1.LocalCERT{}, handler.EnqueueRequestsFromMapFunc(feeds.All), spec).
		WatchesMetadata(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(lookup.UsersOf(feeds))).
		WatchesRawSource(r.Hub.Source(reports.SharedFeeds, feeds.Names)).
		WithOptions(options).
		Named("sharedfeed").
		Complete(r)
	if err != nil {
		return fmt.Errorf("setting up the SharedFeed controller: %w", err)
	}
	return nil
}
