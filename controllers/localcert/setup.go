// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/apply"
	"github.com/certlink/certlink/controllers/internal/lookup"
	"github.com/certlink/certlink/controllers/internal/manifest"
	"github.com/certlink/certlink/controllers/internal/reports"
)

// SetupWithManager adds the controller to a manager.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	if r.RelayImage == "" {
		return errors.New("setting up the LocalCERT controller: no relay image is given")
	}
	if r.Address == nil {
		r.Address = serviceAddress
	}
	r.relays = r.Hub
	r.apply = apply.Applier{Client: r.Client, Direct: r.Direct, Owner: fieldOwner}
	spec := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	locals, peers := lookup.Of(r.Client, &v1alpha1.LocalCERTList{}), lookup.Of(r.Client, &v1alpha1.PeerCERTList{})
	services := lookup.Of(r.Client, &v1alpha1.SharedServiceList{})
	usersOfBundle := whereUsed(locals, peers.By(lookup.ByBundle, client.Object.GetName))
	usersOfSource := whereUsed(locals, lookup.UsersOf(lookup.Of(r.Client, &v1alpha1.SharedFeedList{})))
	usersOfDataset := lookup.UsersOf(locals)
	usersOfService := whereUsed(locals, services.By(lookup.ByService, client.Object.GetName))
	all := handler.EnqueueRequestsFromMapFunc(locals.All)
	c, err := ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.LocalCERT{}, spec).
		Owns(&appsv1.StatefulSet{}).
		Owns(&corev1.Service{}).
		Owns(&networkingv1.NetworkPolicy{}, spec).
		Owns(&policyv1.PodDisruptionBudget{}, spec).
		Owns(&corev1.ConfigMap{}, builder.OnlyMetadata).
		Watches(&v1alpha1.LocalCERT{}, handler.EnqueueRequestsFromMapFunc(others(locals)), spec).
		Watches(&v1alpha1.PeerCERT{}, all, spec).
		Watches(&v1alpha1.SharedFeed{}, all, spec).
		Watches(&v1alpha1.Hotline{}, all, spec).
		Watches(&v1alpha1.SharedService{}, all, builder.WithPredicates(lookup.ServiceChanged())).
		Watches(&corev1.Service{}, handler.EnqueueRequestsFromMapFunc(usersOfService), builder.WithPredicates(lookup.TargetChanged())).
		WatchesMetadata(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(usersOfBundle)).
		WatchesMetadata(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(usersOfSource)).
		WatchesMetadata(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(usersOfDataset)).
		WatchesMetadata(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(relayOf)).
		WatchesRawSource(r.Hub.Source(reports.LocalCERTs, locals.Names)).
		WithOptions(options).
		Named("localcert").
		Build(r)
	if err != nil {
		return fmt.Errorf("setting up the LocalCERT controller: %w", err)
	}
	r.watches = &certWatches{controller: c, cache: mgr.GetCache(), mapper: mgr.GetRESTMapper(), scheme: mgr}
	return nil
}

// others are the LocalCERTs beside one that came or went: the oldest counts.
func others(locals lookup.Kind) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		return slices.DeleteFunc(locals.All(ctx, o), func(req reconcile.Request) bool { return req.Name == o.GetName() })
	}
}

// whereUsed are the LocalCERTs of a namespace where an object is used: by a
// PeerCERT whose trust bundle is in a ConfigMap, by a SharedService that exports
// a Service.
func whereUsed(locals lookup.Kind, used handler.MapFunc) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		if len(used(ctx, o)) == 0 {
			return nil
		}
		return locals.All(ctx, o)
	}
}

// relayOf is the LocalCERT whose relay a pod runs.
func relayOf(_ context.Context, pod client.Object) []reconcile.Request {
	if pod.GetLabels()[manifest.LabelComponent] != manifest.Relay || pod.GetLabels()[manifest.LabelName] != manifest.Name {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{
		Namespace: pod.GetNamespace(),
		Name:      pod.GetLabels()[manifest.LabelInstance],
	}}}
}

// certWatches begins to watch cert-manager's Certificates once the cluster has
// them: the operator may be there first.
type certWatches struct {
	controller controller.Controller
	cache      cache.Cache
	mapper     meta.RESTMapper
	scheme     ctrl.Manager

	mu       sync.Mutex
	watching bool
}

// ensure tells whether the cluster has cert-manager's resources, and watches
// them if it has.
func (w *certWatches) ensure() (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watching {
		return true, nil
	}
	_, err := w.mapper.RESTMapping(manifest.CertificateKind.GroupKind(), manifest.CertificateKind.Version)
	if meta.IsNoMatchError(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for cert-manager: %w", err)
	}
	for _, kind := range []string{"Certificate", "Issuer"} {
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(manifest.CertificateKind.GroupVersion().WithKind(kind))
		owner := handler.TypedEnqueueRequestForOwner[*unstructured.Unstructured](w.scheme.GetScheme(), w.mapper, &v1alpha1.LocalCERT{}, handler.OnlyControllerOwner())
		if err := w.controller.Watch(source.Kind(w.cache, object, owner)); err != nil {
			return false, fmt.Errorf("watching cert-manager's %ss: %w", kind, err)
		}
	}
	w.watching = true
	return true, nil
}
