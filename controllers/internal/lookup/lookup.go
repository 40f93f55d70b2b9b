// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package lookup reads what more than one controller needs: the LocalCERT of a
// namespace, the trust bundle of a peer, and who refers to whom. It writes
// nothing.
package lookup

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/controllers/internal/status"
)

// Indexes of the caches.
const (
	ByTrustDomain = "trustDomain"
	ByBundle      = "bundleRef"
	ByPeer        = "peerRef"
	ByService     = "service"
)

// defaultKey of a trust bundle in a ConfigMap.
const defaultKey = "ca.crt"

// AddIndexes adds the indexes to the caches. Once, before they start.
func AddIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	indexes := []struct {
		object client.Object
		field  string
		values client.IndexerFunc
	}{
		{&v1alpha1.PeerCERT{}, ByTrustDomain, trustDomain},
		{&v1alpha1.PeerCERT{}, ByBundle, bundleName},
		{&v1alpha1.SharedFeed{}, ByPeer, feedPeers},
		{&v1alpha1.SharedFeed{}, ByConfigMapOf, feedConfigMaps},
		{&v1alpha1.LocalCERT{}, ByConfigMapOf, localConfigMaps},
		{&v1alpha1.Hotline{}, ByPeer, hotlinePeer},
		{&v1alpha1.SharedService{}, ByPeer, servicePeers},
		{&v1alpha1.SharedService{}, ByService, serviceName},
	}
	for _, i := range indexes {
		if err := indexer.IndexField(ctx, i.object, i.field, i.values); err != nil {
			return fmt.Errorf("indexing %T by %s: %w", i.object, i.field, err)
		}
	}
	return nil
}

func trustDomain(o client.Object) []string {
	if p, ok := o.(*v1alpha1.PeerCERT); ok {
		return []string{p.Spec.Identity.TrustDomain}
	}
	return nil
}

func bundleName(o client.Object) []string {
	if p, ok := o.(*v1alpha1.PeerCERT); ok && p.Spec.Trust.BundleRef != nil {
		return []string{p.Spec.Trust.BundleRef.Name}
	}
	return nil
}

// Local returns the LocalCERT that counts in a namespace: the oldest, nil if
// there is none.
func Local(ctx context.Context, reader client.Reader, namespace string) (*v1alpha1.LocalCERT, error) {
	var list v1alpha1.LocalCERTList
	if err := reader.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("listing LocalCERTs: %w", err)
	}
	var oldest *v1alpha1.LocalCERT
	for i := range list.Items {
		l := &list.Items[i]
		if l.DeletionTimestamp.IsZero() && (oldest == nil || relayconfig.Older(l, oldest)) {
			oldest = l
		}
	}
	return oldest, nil
}

// NoLocal is the verdict about an object in a namespace without a LocalCERT.
func NoLocal() status.Verdict {
	return status.Verdict{
		Fate:    status.Working,
		Reason:  v1alpha1.ReasonLocalCERTMissing,
		Message: "this namespace has no LocalCERT; create one to say who we are",
	}
}

// Bundle returns the trust bundle of a peer. ConfigMaps are read directly: they
// are not cached.
func Bundle(ctx context.Context, direct client.Reader, p *v1alpha1.PeerCERT) (relayconfig.Bundle, error) {
	ref := p.Spec.Trust.BundleRef
	if ref == nil {
		return relayconfig.Bundle{PEM: p.Spec.Trust.Bundle}, nil
	}
	var from corev1.ConfigMap
	err := direct.Get(ctx, types.NamespacedName{Namespace: p.Namespace, Name: ref.Name}, &from)
	if apierrors.IsNotFound(err) {
		return relayconfig.Bundle{Missing: fmt.Sprintf("spec.trust.bundleRef: there is no ConfigMap %q in this namespace; create it with the peer's CA certificates", ref.Name)}, nil
	}
	if err != nil {
		return relayconfig.Bundle{}, fmt.Errorf("reading trust bundle of %q from ConfigMap %q: %w", p.Name, ref.Name, err)
	}
	key := ref.Key
	if key == "" {
		key = defaultKey
	}
	text, ok := from.Data[key]
	if !ok {
		return relayconfig.Bundle{Missing: fmt.Sprintf("spec.trust.bundleRef: ConfigMap %q has no key %q; add the peer's CA certificates under it", ref.Name, key)}, nil
	}
	return relayconfig.Bundle{PEM: text}, nil
}

// Soonest of two times to look again, where zero means never.
func Soonest(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
