// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
	// canary is the certificate that nobody uses; nextFault says why the issuer that
	// it is to come from cannot issue.
	canary    issued
	nextFault string
	// generations of CAs of our own that are there.
	generations []int32
	// strangers are Certificates of others that ask the CA of our own that is in use,
	// by name.
	strangers []string
	// former are certificates of the desk that the spec does not ask for any more, by name.
	former []string

	service     *corev1.Service
	statefulSet *appsv1.StatefulSet
	pods        []metav1.PartialObjectMetadata
	input       relayconfig.Input
	view        reports.View
	// contents of the Secrets and ConfigMaps that resources name.
	contents lookup.Contents
	// gaveUp: the kubelet was asked often enough to refresh the relay's volumes.
	gaveUp bool
}

// observe reads; it decides nothing. Secrets are read one by one by name: the
// operator may not list them, and keeps no copy.
func (r *Reconciler) observe(ctx context.Context, l *v1alpha1.LocalCERT) (*seen, error) {
	s := &seen{view: r.relays.View(l.Namespace)}
	err := errors.Join(
		r.observeCertificates(ctx, l, s),
		r.observeWorkload(ctx, l, s),
		r.observeDeclared(ctx, l, s),
	)
	return s, err
}

func (r *Reconciler) observeCertificates(ctx context.Context, l *v1alpha1.LocalCERT, s *seen) error {
	s.certificates = names(l)
	s.canary = issued{name: namesOf(l).Canary, path: "/canary"}
	waiting := false
	for i := range s.certificates {
		if err := r.observeCertificate(ctx, l, &s.certificates[i]); err != nil {
			return err
		}
		waiting = waiting || !s.certificates[i].settled()
	}
	if err := r.observeCertificate(ctx, l, &s.canary); err != nil {
		return err
	}
	t := trustOf(l, s.certificates[0])
	var err, errNext error
	if waiting {
		s.issuerFault, err = r.issuerFault(ctx, l, t.issuing())
	}
	if t.rotation != nil && !s.canary.settled() {
		s.nextFault, errNext = r.issuerFault(ctx, l, t.next())
	}
	return errors.Join(err, errNext, r.observeAuthorities(ctx, l, s, t))
}

// observeCertificate reads a Certificate and its Secret.
func (r *Reconciler) observeCertificate(ctx context.Context, l *v1alpha1.LocalCERT, c *issued) error {
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
	return nil
}

// observeAuthorities finds the CAs of our own that are there, and who else uses the
// one that a rotation would retire.
func (r *Reconciler) observeAuthorities(ctx context.Context, l *v1alpha1.LocalCERT, s *seen, t trust) error {
	in := client.InNamespace(l.Namespace)
	issuers, certificates := &unstructured.UnstructuredList{}, &unstructured.UnstructuredList{}
	issuers.SetGroupVersionKind(manifest.IssuerKind)
	certificates.SetGroupVersionKind(manifest.CertificateKind)
	if err := errors.Join(r.Client.List(ctx, issuers, in), r.Client.List(ctx, certificates, in)); err != nil {
		return fmt.Errorf("listing issuers and certificates: %w", err)
	}
	s.former = former(l, certificates.Items)
	for i := range issuers.Items {
		g := manifest.CAGeneration(l.Name, v1alpha1.IssuerInUse{Kind: "Issuer", Name: issuers.Items[i].GetName()})
		if g > 0 && metav1.IsControlledBy(&issuers.Items[i], l) {
			s.generations = append(s.generations, g)
		}
	}
	if t.rotation == nil || t.authority.Generation == 0 || t.rotation.Generation == t.authority.Generation {
		return nil
	}
	for i := range certificates.Items {
		c := &certificates.Items[i]
		asked := askedOf(issued{object: c})
		if asked != nil && *asked == *t.authority.IssuerRef && !metav1.IsControlledBy(c, l) {
			s.strangers = append(s.strangers, c.GetName())
		}
	}
	slices.Sort(s.strangers)
	return nil
}

// namesOf the objects of a LocalCERT.
func namesOf(l *v1alpha1.LocalCERT) manifest.Names { return manifest.NamesOf(l.Name) }

// issuerFault says why the issuer of our certificates cannot issue; empty when it can.
func (r *Reconciler) issuerFault(ctx context.Context, l *v1alpha1.LocalCERT, ref v1alpha1.IssuerInUse) (string, error) {
	kind, name := ref.Kind, ref.Name
	issuer := &unstructured.Unstructured{}
	issuer.SetGroupVersionKind(manifest.IssuerKind.GroupVersion().WithKind(kind))
	key := types.NamespacedName{Name: name}
	if kind == "Issuer" {
		key.Namespace = l.Namespace
	}
	err := r.Direct.Get(ctx, key, issuer)
	if apierrors.IsNotFound(err) {
		if l.Spec.IssuerRef == nil {
			return fmt.Sprintf("%s %q of our own CA is being made", kind, name), nil
		}
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
	if err := r.observeLast(ctx, l, s.input); err != nil {
		return err
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
	if s.input.Targets, err = lookup.Targets(ctx, r.Client, l.Namespace, s.input.Services); err != nil {
		return err
	}
	s.contents, err = lookup.Read(ctx, r.Direct, l.Namespace, s.input.Watched())
	return err
}
