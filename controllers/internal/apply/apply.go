// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package apply writes desired objects by server-side apply, and is the only
// place that writes objects of ours.
//
// It promises that an object which already is as desired is not written, that an
// object which is not ours is never taken over, and that fields of others are
// left alone. It deletes only what it is told to: everything of ours has an owner
// reference, so it goes with its owner.
package apply

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// AnnotationApplied holds a digest of what was last applied to an object. With
// it, a field that is no longer desired is noticed without reading managed fields.
const AnnotationApplied = "certlink.dev/applied"

// ErrForeign says that an object of the desired name exists and is not ours.
var ErrForeign = errors.New("an object of this name exists and is not ours")

// ErrLeaving says that an object of the desired name is left over from an owner
// of the same name that was deleted. The cluster removes it by itself.
var ErrLeaving = errors.New("an object of this name goes with its deleted owner; it is made again when it is gone")

// Applier applies the objects of one controller.
type Applier struct {
	// Client reads from caches where there are any, and writes.
	Client client.Client
	// Direct reads from the API server. Before an object is created, it is asked
	// whether one exists that the caches do not hold.
	Direct client.Reader
	// Owner is the field manager.
	Owner client.FieldOwner
}

// All applies objects in order, each of which has a controlling owner. An error
// with one does not stop the others.
func (a Applier) All(ctx context.Context, objects []*unstructured.Unstructured) error {
	var errs []error
	for _, o := range objects {
		if err := a.one(ctx, o); err != nil {
			errs = append(errs, fmt.Errorf("applying %s %q: %w", o.GetKind(), o.GetName(), err))
		}
	}
	return errors.Join(errs...)
}

func (a Applier) one(ctx context.Context, desired *unstructured.Unstructured) error {
	digest, err := digestOf(desired)
	if err != nil {
		return err
	}
	desired = desired.DeepCopy()
	annotations := desired.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[AnnotationApplied] = digest
	desired.SetAnnotations(annotations)

	live, err := a.live(ctx, desired)
	if err != nil {
		return err
	}
	if live != nil {
		if err := ours(live, desired); err != nil {
			return err
		}
		if contains(live.Object, desired.Object) {
			return nil
		}
	}
	return a.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(desired), a.Owner, client.ForceOwnership)
}

// live returns the object as it is, nil if there is none.
func (a Applier) live(ctx context.Context, desired *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	key := client.ObjectKeyFromObject(desired)
	for _, reader := range []client.Reader{a.Client, a.Direct} {
		o, err := a.empty(desired)
		if err != nil {
			return nil, err
		}
		err = reader.Get(ctx, key, o)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
		if err != nil {
			return nil, err
		}
		live := &unstructured.Unstructured{Object: content}
		// Objects from typed caches do not carry their kind.
		live.SetGroupVersionKind(desired.GroupVersionKind())
		return live, nil
	}
	return nil, nil
}

// empty returns an object to read into: typed where the scheme knows the kind,
// so that the cache of the typed watch is used.
func (a Applier) empty(desired *unstructured.Unstructured) (client.Object, error) {
	gvk := desired.GroupVersionKind()
	if !a.Client.Scheme().Recognizes(gvk) {
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(gvk)
		return u, nil
	}
	o, err := a.Client.Scheme().New(gvk)
	if err != nil {
		return nil, err
	}
	object, ok := o.(client.Object)
	if !ok {
		return nil, fmt.Errorf("%s is not an object", gvk)
	}
	object.GetObjectKind().SetGroupVersionKind(gvk) // a scheme may know a kind by its fields only
	return object, nil
}

// ours tells whether a live object has the owner that is desired, and if not, why.
func ours(live, desired *unstructured.Unstructured) error {
	has, want := metav1.GetControllerOfNoCopy(live), metav1.GetControllerOfNoCopy(desired)
	switch {
	case has == nil || want == nil || has.Kind != want.Kind || has.Name != want.Name:
		return fmt.Errorf("%w: delete or rename it", ErrForeign)
	case has.UID != want.UID:
		return ErrLeaving
	}
	return nil
}

func digestOf(o *unstructured.Unstructured) (string, error) {
	data, err := json.Marshal(o.Object)
	if err != nil {
		return "", fmt.Errorf("encoding it: %w", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16]), nil
}
