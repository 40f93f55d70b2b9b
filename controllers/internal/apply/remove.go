// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Remove deletes an object of the same kind and name as the one given, if it has
// the same controlling owner. One that is not there, or that is not ours, is left.
func (a Applier) Remove(ctx context.Context, o *unstructured.Unstructured) error {
	live, err := a.live(ctx, o)
	if err != nil {
		return fmt.Errorf("reading %s %q: %w", o.GetKind(), o.GetName(), err)
	}
	if live != nil && ours(live, o) == nil {
		return a.remove(ctx, live)
	}
	return nil
}

// RemoveIf deletes an object that has no controlling owner, as Secrets of
// cert-manager, if its metadata is as a caller knows it. The object is not read
// further than that.
func (a Applier) RemoveIf(ctx context.Context, o *metav1.PartialObjectMetadata, known func(*metav1.PartialObjectMetadata) bool) error {
	live := &metav1.PartialObjectMetadata{TypeMeta: o.TypeMeta}
	err := a.Direct.Get(ctx, client.ObjectKeyFromObject(o), live)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s %q: %w", o.Kind, o.Name, err)
	}
	live.TypeMeta = o.TypeMeta
	if !known(live) {
		return nil
	}
	return a.remove(ctx, live)
}

// remove deletes this object and no other of its name.
func (a Applier) remove(ctx context.Context, o client.Object) error {
	uid := o.GetUID()
	err := a.Client.Delete(ctx, o, client.Preconditions{UID: &uid})
	if err := client.IgnoreNotFound(err); err != nil && !apierrors.IsConflict(err) {
		return fmt.Errorf("deleting %s %q: %w", o.GetObjectKind().GroupVersionKind().Kind, o.GetName(), err)
	}
	return nil
}
