// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package controllers is the one list of the operator's controllers, and says
// what of the cluster they keep in memory.
package controllers

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/hotline"
	"github.com/certlink/certlink/controllers/internal/lookup"
	"github.com/certlink/certlink/controllers/internal/loop"
	"github.com/certlink/certlink/controllers/internal/manifest"
	"github.com/certlink/certlink/controllers/internal/reports"
	"github.com/certlink/certlink/controllers/localcert"
	"github.com/certlink/certlink/controllers/peercert"
	"github.com/certlink/certlink/controllers/sharedfeed"
	"github.com/certlink/certlink/controllers/sharedservice"
)

// reconciliationTimeout bounds one reconciliation. Nothing in it takes long but
// an API server that does not answer.
const reconciliationTimeout = 30 * time.Second

// workers of each controller. An object is never reconciled twice at once.
const workers = 4

// Options of the controllers.
type Options struct {
	// RelayImage is the image of the relays. Required.
	RelayImage string
	// OperatorNamespace may reach the relays' local ports.
	OperatorNamespace string
	// Address gives HOST:PORT of a relay's local port. Nil means the name of its
	// Service in the cluster.
	Address func(*v1alpha1.LocalCERT) string
	// Instance is the name of this operator's pod, for events. Required.
	Instance string
	// Metrics is where metrics are registered.
	Metrics prometheus.Registerer
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Scheme returns the kinds that the controllers read and write.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	return scheme
}

// CacheOptions keeps memory to what is ours: workloads and pods by label, of
// Services that are not ours no more than where they lead to, and nothing at all
// of Secrets and ConfigMaps but the latter's metadata. An empty list of
// namespaces means all.
func CacheOptions(namespaces []string) cache.Options {
	ours := cache.ByObject{Label: labels.SelectorFromSet(labels.Set{manifest.LabelManagedBy: manifest.ManagedBy})}
	opts := cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&appsv1.StatefulSet{}:           ours,
			&corev1.Service{}:               {Transform: trimService},
			&corev1.Pod{}:                   ours,
			&policyv1.PodDisruptionBudget{}: ours,
			&networkingv1.NetworkPolicy{}:   ours,
		},
	}
	for _, namespace := range namespaces {
		if opts.DefaultNamespaces == nil {
			opts.DefaultNamespaces = map[string]cache.Config{}
		}
		opts.DefaultNamespaces[namespace] = cache.Config{}
	}
	return opts
}

// trimService keeps of a Service that is not ours its identity, its owners and
// where it leads to: any Service may be exported, so all of them are watched.
func trimService(o any) (any, error) {
	s, ok := o.(*corev1.Service)
	if !ok {
		return o, nil
	}
	s.ManagedFields = nil
	if s.Labels[manifest.LabelManagedBy] == manifest.ManagedBy {
		return s, nil
	}
	s.Labels, s.Annotations, s.Finalizers = nil, nil, nil
	s.Spec = corev1.ServiceSpec{Type: s.Spec.Type, ClusterIP: s.Spec.ClusterIP, Selector: s.Spec.Selector, Ports: s.Spec.Ports}
	s.Status = corev1.ServiceStatus{}
	return s, nil
}

// ClientOptions makes the client read Secrets and ConfigMaps from the API
// server, and cert-manager's resources, which have no Go type here, from caches.
func ClientOptions() client.Options {
	return client.Options{Cache: &client.CacheOptions{
		DisableFor:   []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}},
		Unstructured: true,
	}}
}

// Register adds all controllers to a manager whose caches and client were made
// with CacheOptions and ClientOptions.
func Register(ctx context.Context, mgr ctrl.Manager, o Options) error {
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := lookup.AddIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	hub := reports.NewHub(reports.Config{
		Log: slog.New(logr.ToSlogHandler(mgr.GetLogger().WithName("reports"))),
		Now: o.Now,
	})
	if err := mgr.Add(hub); err != nil {
		return fmt.Errorf("adding the reader of reports: %w", err)
	}
	all, err := reconcilers(mgr, hub, o)
	if err != nil {
		return err
	}
	for _, r := range all {
		if err := r.SetupWithManager(mgr, controller.Options{
			MaxConcurrentReconciles: workers,
			ReconciliationTimeout:   reconciliationTimeout,
		}); err != nil {
			return err
		}
	}
	return nil
}

type reconciler interface {
	SetupWithManager(ctrl.Manager, controller.Options) error
}

// reconcilers are all of them, one for each kind.
func reconcilers(mgr ctrl.Manager, hub *reports.Hub, o Options) ([]reconciler, error) {
	locals, err := localcert.NewMetrics(o.Metrics)
	if err != nil {
		return nil, err
	}
	peers, err := peercert.NewMetrics(o.Metrics)
	if err != nil {
		return nil, err
	}
	base := loop.Base{
		Client:   mgr.GetClient(),
		Direct:   mgr.GetAPIReader(),
		Instance: o.Instance,
		Now:      o.Now,
	}
	return []reconciler{
		&localcert.Reconciler{
			Base:    base,
			Hub:     hub,
			Metrics: locals,
			Options: localcert.Options{RelayImage: o.RelayImage, OperatorNamespace: o.OperatorNamespace, Address: o.Address},
		},
		&peercert.Reconciler{Base: base, Hub: hub, Metrics: peers},
		&sharedfeed.Reconciler{Base: base, Hub: hub},
		&sharedservice.Reconciler{Base: base, Hub: hub},
		&hotline.Reconciler{Base: base, Hub: hub},
	}, nil
}
