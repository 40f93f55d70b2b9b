// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/manifest"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/relay/config"
)

// observeLast finds, for peers whose trust bundle cannot be used now, the one that the
// relay's configuration still has. Nothing is read while all bundles can be used.
func (r *Reconciler) observeLast(ctx context.Context, l *v1alpha1.LocalCERT, in relayconfig.Input) error {
	unusable := false
	for _, b := range in.Bundles {
		unusable = unusable || !b.Usable()
	}
	if !unusable {
		return nil
	}
	var applied corev1.ConfigMap
	name := manifest.NamesOf(l.Name).Relay
	err := r.Direct.Get(ctx, types.NamespacedName{Namespace: l.Namespace, Name: name}, &applied)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading ConfigMap %q: %w", name, err)
	}
	keepLast(in, []byte(applied.Data[relayconfig.File]))
	return nil
}

// keepLast takes bundles from the configuration that was applied last. One of a peer whose
// trust domain has changed since counts for nothing, and neither does a file that is
// damaged: it is to be written anew.
func keepLast(in relayconfig.Input, file []byte) {
	c, err := config.Decode(file)
	if err != nil {
		return
	}
	last := map[string]config.Peer{}
	for _, p := range c.Peers {
		last[p.Name] = p
	}
	for i := range in.Peers {
		p := &in.Peers[i]
		b := in.Bundles[p.Name]
		if was, ok := last[p.Name]; ok && was.TrustDomain == p.Spec.Identity.TrustDomain && !b.Usable() {
			b.Last = was.Bundle
			in.Bundles[p.Name] = b
		}
	}
}
