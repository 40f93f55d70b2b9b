// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package hotline makes a Hotline true: it is part of our relay's configuration
// as declared, and its conditions say whether messages arrive and are answered.
//
// It writes nothing but the status of Hotlines, and never sees a message.
package hotline

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
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
const fieldOwner client.FieldOwner = "certlink-hotline"

// Reconciler keeps a Hotline true.
type Reconciler struct {
	loop.Base
	Hub *reports.Hub
}

// +kubebuilder:rbac:groups=certlink.dev,resources=hotlines/status,verbs=patch

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	return loop.Run(ctx, r.Base, req, loop.For[*v1alpha1.Hotline]{
		Owner: fieldOwner,
		New:   func() *v1alpha1.Hotline { return &v1alpha1.Hotline{} },
		Status: func(h *v1alpha1.Hotline) loop.Status {
			return loop.Status{Conditions: &h.Status.Conditions, ObservedGeneration: &h.Status.ObservedGeneration}
		},
		Telling: []string{
			v1alpha1.ConditionReachable, v1alpha1.ConditionReady, v1alpha1.ConditionAnswered, v1alpha1.ConditionJournalDoubtful, v1alpha1.ConditionLineChecked,
		},
		Sync: r.sync,
		Gone: func(types.NamespacedName) {},
	})
}

func (r *Reconciler) sync(ctx context.Context, h *v1alpha1.Hotline, edit *status.Editor) (loop.Outcome, error) {
	s, err := r.observe(ctx, h)
	if err != nil {
		return loop.Outcome{}, err
	}
	outcome := report(h, s, edit, r.Now())
	if lookup.HasSecret(lookup.ObjectsOf(s.references)) {
		outcome.Again = lookup.Soonest(outcome.Again, lookup.SecretsAgain)
	}
	return outcome, nil
}

func (r *Reconciler) observe(ctx context.Context, h *v1alpha1.Hotline) (*seen, error) {
	s := &seen{view: r.Hub.View(h.Namespace)}
	var err error
	if s.local, err = lookup.Local(ctx, r.Client, h.Namespace); err != nil {
		return nil, err
	}
	s.references = relayconfig.HotlineReferences(h)
	contents, err := lookup.Read(ctx, r.Direct, h.Namespace, lookup.ObjectsOf(s.references))
	if err != nil {
		return nil, err
	}
	s.there = contents.Keys
	peers, err := lookup.Peers(ctx, r.Client, h.Namespace, h.Spec.PeerRef.Name)
	if err != nil {
		return nil, err
	}
	s.peer = peers[h.Spec.PeerRef.Name]
	var list v1alpha1.HotlineList
	err = r.Client.List(ctx, &list, client.InNamespace(h.Namespace), client.MatchingFields{lookup.ByPeer: h.Spec.PeerRef.Name})
	if err != nil {
		return nil, fmt.Errorf("listing hotlines to %q: %w", h.Spec.PeerRef.Name, err)
	}
	for _, item := range list.Items {
		if item.DeletionTimestamp.IsZero() {
			s.siblings = append(s.siblings, item)
		}
	}
	return s, nil
}

// SetupWithManager adds the controller to a manager.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	spec := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	hotlines := lookup.Of(r.Client, &v1alpha1.HotlineList{})
	err := ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.Hotline{}, spec).
		Watches(&v1alpha1.Hotline{}, handler.EnqueueRequestsFromMapFunc(hotlines.By(lookup.ByPeer, peerOf)), spec).
		Watches(&v1alpha1.PeerCERT{}, handler.EnqueueRequestsFromMapFunc(hotlines.By(lookup.ByPeer, client.Object.GetName)), spec).
		Watches(&v1alpha1.LocalCERT{}, handler.EnqueueRequestsFromMapFunc(hotlines.All), spec).
		WatchesRawSource(r.Hub.Source(reports.Hotlines, hotlines.Names)).
		WithOptions(options).
		Named("hotline").
		Complete(r)
	if err != nil {
		return fmt.Errorf("setting up the Hotline controller: %w", err)
	}
	return nil
}

// peerOf a Hotline: there is one hotline to each.
func peerOf(o client.Object) string {
	if h, ok := o.(*v1alpha1.Hotline); ok {
		return h.Spec.PeerRef.Name
	}
	return ""
}
