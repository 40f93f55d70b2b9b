// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/lookup"
	"github.com/certlink/certlink/controllers/internal/manifest"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/controllers/internal/reports"
)

// seen is everything that a decision about a LocalCERT depends on.
type seen struct {
	oldest       *v1alpha1.LocalCERT
	certificates []issued
	issuerFault  string
	service      *corev1.Service
	statefulSet  *appsv1.StatefulSet
	pods         []metav1.PartialObjectMetadata
	input        relayconfig.Input
	view         reports.View
}

// observe reads; it decides nothing. Secrets are read one by one by name: the
// operator may not list them, and keeps no copy.
func (r *Reconciler) observe(ctx context.Context, l *v1alpha1.LocalCERT) (*seen, error) {
	s := &seen{view: r.Hub.View(l.Namespace)}
	err := errors.Join(
		r.observeCertificates(ctx, l, s),
		r.observeWorkload(ctx, l, s),
		r.observeDeclared(ctx, l, s),
	)
	return s, err
}

func (r *Reconciler) observeCertificates(ctx context.Context, l *v1alpha1.LocalCERT, s *seen) error {
	s.certificates = names(manifest.NamesOf(l.Name))
	waiting := false
	for i := range s.certificates {
		c := &s.certificates[i]
		key := types.NamespacedName{Namespace: l.Namespace, Name: c.name}
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(manifest.CertificateKind)
		switch err := r.Client.Get(ctx, key, object); {
		case err == nil:
			c.object = object
		case !apierrors.IsNotFound(err):
			return fmt.Errorf("reading Certificate %q: %w", c.name, err)
		}
		secret := &corev1.Secret{}
		switch err := r.Direct.Get(ctx, key, secret); {
		case err == nil:
			c.secret = secret
		case !apierrors.IsNotFound(err):
			return fmt.Errorf("reading Secret %q: %w", c.name, err)
		}
		if ready, _ := condition(c.object, "Ready"); ready != "True" {
			waiting = true
		}
	}
	if !waiting {
		return nil
	}
	var err error
	s.issuerFault, err = r.issuerFault(ctx, l)
	return err
}

// issuerFault says why the issuer of our certificates cannot issue; empty when it can.
func (r *Reconciler) issuerFault(ctx context.Context, l *v1alpha1.LocalCERT) (string, error) {
	kind, name := manifest.IssuerOf(l)
	issuer := &unstructured.Unstructured{}
	issuer.SetGroupVersionKind(manifest.IssuerKind.GroupVersion().WithKind(kind))
	key := types.NamespacedName{Name: name}
	if kind == "Issuer" {
		key.Namespace = l.Namespace
	}
	err := r.Direct.Get(ctx, key, issuer)
	if apierrors.IsNotFound(err) {
		return fmt.Sprintf("there is no %s %q; create it or change spec.issuerRef", kind, name), nil
	}
	if err != nil {
		return "", fmt.Errorf("reading %s %q: %w", kind, name, err)
	}
	if ready, message := condition(issuer, "Ready"); ready != "True" {
		if message == "" {
			message = "cert-manager has not looked at it yet"
		}
		return fmt.Sprintf("%s %q is not ready: %s", kind, name, message), nil
	}
	return "", nil
}

func (r *Reconciler) observeWorkload(ctx context.Context, l *v1alpha1.LocalCERT, s *seen) error {
	key := types.NamespacedName{Namespace: l.Namespace, Name: manifest.NamesOf(l.Name).Relay}
	service, set := &corev1.Service{}, &appsv1.StatefulSet{}
	switch err := r.Client.Get(ctx, key, service); {
	case err == nil:
		s.service = service
	case !apierrors.IsNotFound(err):
		return fmt.Errorf("reading Service %q: %w", key.Name, err)
	}
	switch err := r.Client.Get(ctx, key, set); {
	case err == nil:
		s.statefulSet = set
	case !apierrors.IsNotFound(err):
		return fmt.Errorf("reading StatefulSet %q: %w", key.Name, err)
	}
	pods := &metav1.PartialObjectMetadataList{}
	pods.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PodList"))
	if err := r.Client.List(ctx, pods, client.InNamespace(l.Namespace), client.MatchingLabels(manifest.Selector(l.Name))); err != nil {
		return fmt.Errorf("listing pods of the relay: %w", err)
	}
	for i := range pods.Items {
		pods.Items[i].SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Pod"))
	}
	s.pods = pods.Items
	return nil
}

// observeDeclared reads what people declared in the namespace.
func (r *Reconciler) observeDeclared(ctx context.Context, l *v1alpha1.LocalCERT, s *seen) error {
	var err error
	if s.oldest, err = lookup.Local(ctx, r.Client, l.Namespace); err != nil {
		return err
	}
	in := client.InNamespace(l.Namespace)
	var peers v1alpha1.PeerCERTList
	var feeds v1alpha1.SharedFeedList
	var hotlines v1alpha1.HotlineList
	var services v1alpha1.SharedServiceList
	if err := errors.Join(r.Client.List(ctx, &peers, in), r.Client.List(ctx, &feeds, in), r.Client.List(ctx, &hotlines, in), r.Client.List(ctx, &services, in)); err != nil {
		return fmt.Errorf("listing what is declared: %w", err)
	}
	s.input = relayconfig.Input{Local: l, Bundles: map[string]relayconfig.Bundle{}}
	for i := range peers.Items {
		p := &peers.Items[i]
		if !p.DeletionTimestamp.IsZero() {
			continue
		}
		bundle, err := lookup.Bundle(ctx, r.Direct, p)
		if err != nil {
			return err
		}
		s.input.Peers = append(s.input.Peers, *p)
		s.input.Bundles[p.Name] = bundle
	}
	for i := range feeds.Items {
		if feeds.Items[i].DeletionTimestamp.IsZero() {
			s.input.Feeds = append(s.input.Feeds, feeds.Items[i])
		}
	}
	for i := range hotlines.Items {
		if hotlines.Items[i].DeletionTimestamp.IsZero() {
			s.input.Hotlines = append(s.input.Hotlines, hotlines.Items[i])
		}
	}
	for i := range services.Items {
		if services.Items[i].DeletionTimestamp.IsZero() {
			s.input.Services = append(s.input.Services, services.Items[i])
		}
	}
	s.input.Targets, err = lookup.Targets(ctx, r.Client, l.Namespace, s.input.Services)
	return err
}
