// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package sharedservice makes a SharedService true: it is part of our relay's
// configuration as declared, an import has a Service in our cluster that leads
// to a port of the relay, and its conditions say whether it can be used.
//
// That port is chosen here, once, and kept in the status: it stays the same for
// as long as the object lives, whoever else comes and goes. The controller of
// LocalCERT writes the relay's configuration and its NetworkPolicy. The Service
// has an owner reference and goes with the SharedService; no deletion waits for
// anything.
package sharedservice

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/apply"
	"github.com/certlink/certlink/controllers/internal/lookup"
	"github.com/certlink/certlink/controllers/internal/loop"
	"github.com/certlink/certlink/controllers/internal/manifest"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/internal/status"
)

// fieldOwner is the field manager of this controller.
const fieldOwner client.FieldOwner = "certlink-sharedservice"

// slow is how often we look again for a name that is taken: its owner may not be
// one that we watch.
const slow = 10 * time.Second

// Reconciler keeps a SharedService true.
type Reconciler struct {
	loop.Base
	Hub *reports.Hub

	apply apply.Applier
	ports ports
}

// +kubebuilder:rbac:groups=certlink.dev,resources=sharedservices/status,verbs=patch
// +kubebuilder:rbac:groups=certlink.dev,resources=sharedservices/finalizers,verbs=update
// +kubebuilder:rbac:groups="",resources=services,verbs=get;list;watch;create;patch

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	return loop.Run(ctx, r.Base, req, loop.For[*v1alpha1.SharedService]{
		Owner: fieldOwner,
		New:   func() *v1alpha1.SharedService { return &v1alpha1.SharedService{} },
		Status: func(s *v1alpha1.SharedService) loop.Status {
			return loop.Status{Conditions: &s.Status.Conditions, ObservedGeneration: &s.Status.ObservedGeneration}
		},
		Telling: []string{
			v1alpha1.ConditionAvailable, v1alpha1.ConditionReady, v1alpha1.ConditionPeerAccepted,
		},
		Sync: r.sync,
		Gone: r.ports.forget,
	})
}

func (r *Reconciler) sync(ctx context.Context, service *v1alpha1.SharedService, edit *status.Editor) (loop.Outcome, error) {
	s, err := r.observe(ctx, service)
	if err != nil {
		return loop.Outcome{}, err
	}
	if service.Spec.Direction == v1alpha1.ServiceImport && s.local != nil {
		service.Status.RelayPort = r.ports.assign(service, s.siblings)
		switch err := r.offer(ctx, s.local.Name, service); {
		case errors.Is(err, apply.ErrForeign):
			s.standing = &status.Verdict{Fate: status.Stalled, Reason: v1alpha1.ReasonNameTaken, Message: err.Error()}
		case errors.Is(err, apply.ErrLeaving):
			s.standing = &status.Verdict{Fate: status.Working, Reason: v1alpha1.ReasonProgressing, Message: err.Error()}
		case err != nil:
			report(service, s, edit, r.Now())
			return loop.Outcome{}, err
		}
	}
	return report(service, s, edit, r.Now()), nil
}

// offer makes the Service of an import.
func (r *Reconciler) offer(ctx context.Context, localCERT string, s *v1alpha1.SharedService) error {
	if s.Status.RelayPort == 0 {
		return nil // report says so
	}
	u, err := manifest.ImportedService(localCERT, s)
	if err != nil {
		return err
	}
	return r.apply.All(ctx, []*unstructured.Unstructured{u})
}

func (r *Reconciler) observe(ctx context.Context, service *v1alpha1.SharedService) (*seen, error) {
	s := &seen{view: r.Hub.View(service.Namespace)}
	var err error
	if s.local, err = lookup.Local(ctx, r.Client, service.Namespace); err != nil {
		return nil, err
	}
	if s.peers, err = lookup.Peers(ctx, r.Client, service.Namespace, lookup.ServicePeers(service)...); err != nil {
		return nil, err
	}
	if service.Spec.Direction == v1alpha1.ServiceExport {
		targets, err := lookup.Targets(ctx, r.Client, service.Namespace, []v1alpha1.SharedService{*service})
		if err != nil {
			return nil, err
		}
		s.service = targets[service.Spec.Export.ServiceRef.Name]
		return s, nil
	}
	var list v1alpha1.SharedServiceList
	if err := r.Client.List(ctx, &list, client.InNamespace(service.Namespace)); err != nil {
		return nil, fmt.Errorf("listing SharedServices: %w", err)
	}
	s.siblings = list.Items
	return s, nil
}

// SetupWithManager adds the controller to a manager.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	r.apply = apply.Applier{Client: r.Client, Direct: r.Direct, Owner: fieldOwner}
	spec := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	services := lookup.Of(r.Client, &v1alpha1.SharedServiceList{})
	err := ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.SharedService{}, spec).
		Owns(&corev1.Service{}).
		// Of exports that lead to it, and of the import that wants its name.
		Watches(&corev1.Service{}, handler.EnqueueRequestsFromMapFunc(services.By(lookup.ByService, client.Object.GetName)), builder.WithPredicates(lookup.TargetChanged())).
		Watches(&v1alpha1.PeerCERT{}, handler.EnqueueRequestsFromMapFunc(services.By(lookup.ByPeer, client.Object.GetName)), spec).
		Watches(&v1alpha1.LocalCERT{}, handler.EnqueueRequestsFromMapFunc(services.All), spec).
		WatchesRawSource(r.Hub.Source(reports.SharedServices, services.Names)).
		WithOptions(options).
		Named("sharedservice").
		Complete(r)
	if err != nil {
		return fmt.Errorf("setting up the SharedService controller: %w", err)
	}
	return nil
}
