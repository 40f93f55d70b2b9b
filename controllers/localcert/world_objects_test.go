// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"context"
	"encoding/json"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/controllers/internal/manifest"
)

func (w *world) create(o client.Object) {
	w.t.Helper()
	if err := w.raw.Create(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
}

type installed struct{}

func (installed) ensure() (bool, error) { return true, nil }

// apply plays server-side apply for objects that have one manager, and moves the
// generation of Certificates.
func (w *world) apply(ctx context.Context, o runtime.ApplyConfiguration, status bool) error {
	data, err := json.Marshal(o)
	if err != nil {
		return err
	}
	desired := &unstructured.Unstructured{}
	if err := desired.UnmarshalJSON(data); err != nil {
		return err
	}
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(desired.GroupVersionKind())
	err = w.raw.Get(ctx, client.ObjectKeyFromObject(desired), live)
	switch {
	case apierrors.IsNotFound(err) && !status:
		return w.raw.Create(ctx, w.typed(desired))
	case err != nil:
		return err
	case status:
		live.Object["status"] = desired.Object["status"]
		return w.raw.Status().Update(ctx, w.typed(live))
	}
	desired.SetResourceVersion(live.GetResourceVersion())
	desired.SetGeneration(live.GetGeneration())
	if !equality.Semantic.DeepEqual(live.Object["spec"], desired.Object["spec"]) {
		desired.SetGeneration(live.GetGeneration() + 1)
	}
	if live.Object["status"] != nil {
		desired.Object["status"] = live.Object["status"]
	}
	desired.SetUID(live.GetUID())
	return w.raw.Update(ctx, w.typed(desired))
}

// typed is the form in which the fake API server keeps an object.
func (w *world) typed(u *unstructured.Unstructured) client.Object {
	w.t.Helper()
	if u.GroupVersionKind().GroupVersion() == manifest.CertificateKind.GroupVersion() {
		return u
	}
	o, err := w.raw.Scheme().New(u.GroupVersionKind())
	if err == nil {
		err = runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, o)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return o.(client.Object)
}

func (w *world) certificates() map[string]*unstructured.Unstructured {
	w.t.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(manifest.CertificateKind)
	if err := w.raw.List(w.t.Context(), list); err != nil {
		w.t.Fatal(err)
	}
	out := map[string]*unstructured.Unstructured{}
	for i := range list.Items {
		out[list.Items[i].GetName()] = &list.Items[i]
	}
	return out
}
