// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package loop is the frame of every reconciler: read the object, let the kind's
// own Sync decide and write, then write the status once, and only if it changed,
// and tell what changed as events.
//
// There are no finalizers: everything that the operator makes has an owner
// reference, and nothing outside the cluster has to be told.
package loop

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/status"
)

// Base is what every reconciler needs.
type Base struct {
	// Client reads from caches where there are any, and writes.
	Client client.Client
	// Direct reads from the API server: for Secrets and ConfigMaps, which are not cached.
	Direct client.Reader
	// Instance is the name of this operator's pod, for events. At most 128 bytes.
	Instance string
	// Now is the clock.
	Now func() time.Time
}

// Status points at the parts of a status that every kind has.
type Status struct {
	Conditions         *[]metav1.Condition
	ObservedGeneration *int64
}

// Outcome is how a Sync ended.
type Outcome struct {
	// Verdict about our own side; it becomes Ready, Reconciling and Stalled.
	status.Verdict
	// Again asks for another look after this time; zero waits for an event.
	Again time.Duration
}

// For says what is particular about a kind.
type For[T client.Object] struct {
	// Owner is the field manager, one for each controller.
	Owner client.FieldOwner
	// New returns an empty object to read into.
	New func() T
	// Status of an object.
	Status func(T) Status
	// Telling are the conditions of which kubectl get shows the reason, the most urgent first: see
	// status.Sort.
	Telling []string
	// Sync brings our side of the object about and fills its status, except
	// Ready, Reconciling, Stalled and the observed generation. An error is
	// retried with back-off; what is already in the status is written even so.
	Sync func(context.Context, T, *status.Editor) (Outcome, error)
	// Gone is called when the object is deleted, also for one never seen.
	Gone func(types.NamespacedName)
}

// Run reconciles one object.
func Run[T client.Object](ctx context.Context, b Base, req ctrl.Request, kind For[T]) (ctrl.Result, error) {
	object := kind.New()
	if err := b.Client.Get(ctx, req.NamespacedName, object); err != nil {
		if apierrors.IsNotFound(err) {
			kind.Gone(req.NamespacedName)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("reading %q: %w", req.NamespacedName, err)
	}
	if !object.GetDeletionTimestamp().IsZero() {
		kind.Gone(req.NamespacedName)
		return ctrl.Result{}, nil
	}
	before, ok := object.DeepCopyObject().(T)
	if !ok {
		return ctrl.Result{}, fmt.Errorf("copying %q", req.NamespacedName)
	}

	st := kind.Status(object)
	edit := status.NewEditor(st.Conditions, object.GetGeneration(), b.Now())
	outcome, err := kind.Sync(ctx, object, edit)
	finish(object, st, edit, outcome, err)
	status.Sort(*st.Conditions, kind.Telling)

	if !equality.Semantic.DeepEqual(before, object) {
		if writeErr := b.write(ctx, object, kind.Owner); writeErr != nil {
			return ctrl.Result{}, errors.Join(err, writeErr)
		}
		b.tell(ctx, object, *kind.Status(before).Conditions, *st.Conditions)
	}
	return ctrl.Result{RequeueAfter: outcome.Again}, err
}

// finish concludes Ready and what goes with it.
func finish(object client.Object, st Status, edit *status.Editor, outcome Outcome, err error) {
	switch {
	case err == nil:
	case refused(err):
		// Not a hiccup: someone must see it. It is retried all the same.
		outcome.Verdict = status.Verdict{
			Fate:    status.Working,
			Reason:  v1alpha1.ReasonApplyRefused,
			Message: "the API server refuses an object of ours: " + err.Error(),
		}
	default:
		edit.Conclude(status.Verdict{Fate: status.Same, Reason: v1alpha1.ReasonPending, Message: "the first look has not ended: " + err.Error()})
		return
	}
	if edit.Conclude(outcome.Verdict) {
		*st.ObservedGeneration = object.GetGeneration()
	}
}

// refused tells whether the API server turns an object of ours away for good.
// One in a namespace that is being deleted is not news: it all goes.
func refused(err error) bool {
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return false
	}
	return apierrors.IsForbidden(err) || apierrors.IsInvalid(err)
}

// write applies the status and nothing else: the spec belongs to others.
func (b Base) write(ctx context.Context, object client.Object, owner client.FieldOwner) error {
	gvk, err := apiutil.GVKForObject(object, b.Client.Scheme())
	if err != nil {
		return fmt.Errorf("writing status: %w", err)
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return fmt.Errorf("writing status: %w", err)
	}
	u := &unstructured.Unstructured{Object: map[string]any{"status": content["status"]}}
	u.SetGroupVersionKind(gvk)
	u.SetNamespace(object.GetNamespace())
	u.SetName(object.GetName())
	err = b.Client.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(u), owner, client.ForceOwnership)
	if err := client.IgnoreNotFound(err); err != nil {
		return fmt.Errorf("writing status: %w", err)
	}
	return nil
}
