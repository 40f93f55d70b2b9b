// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package lookup

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
)

// Peers returns those PeerCERTs of a namespace that have one of the names, by name. One that
// does not exist or is being deleted is left out.
func Peers(ctx context.Context, reader client.Reader, namespace string, names ...string) (map[string]*v1alpha1.PeerCERT, error) {
	found := map[string]*v1alpha1.PeerCERT{}
	for _, name := range names {
		p := &v1alpha1.PeerCERT{}
		switch err := reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, p); {
		case err == nil && p.DeletionTimestamp.IsZero():
			found[name] = p
		case client.IgnoreNotFound(err) != nil:
			return nil, fmt.Errorf("reading PeerCERT %q: %w", name, err)
		}
	}
	return found, nil
}

// FeedPeers are the names of the peers that a SharedFeed names.
func FeedPeers(f *v1alpha1.SharedFeed) []string {
	var out []string
	if f.Spec.Import != nil {
		out = append(out, f.Spec.Import.PeerRef.Name)
	}
	if f.Spec.Export != nil {
		out = append(out, names(f.Spec.Export.PeerRefs)...)
	}
	return out
}

// ServicePeers are the names of the peers that a SharedService names.
func ServicePeers(s *v1alpha1.SharedService) []string {
	var out []string
	if s.Spec.Import != nil {
		out = append(out, s.Spec.Import.PeerRef.Name)
	}
	if s.Spec.Export != nil {
		out = append(out, names(s.Spec.Export.PeerRefs)...)
	}
	return out
}

func names(refs []v1alpha1.PeerReference) []string {
	out := make([]string, 0, len(refs))
	for _, ref := range refs {
		out = append(out, ref.Name)
	}
	return out
}

func feedPeers(o client.Object) []string {
	if f, ok := o.(*v1alpha1.SharedFeed); ok {
		return FeedPeers(f)
	}
	return nil
}

func servicePeers(o client.Object) []string {
	if s, ok := o.(*v1alpha1.SharedService); ok {
		return ServicePeers(s)
	}
	return nil
}

func hotlinePeer(o client.Object) []string {
	if h, ok := o.(*v1alpha1.Hotline); ok {
		return []string{h.Spec.PeerRef.Name}
	}
	return nil
}
