// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package lookup

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/certlink/certlink/api/v1alpha1"
)

// ServiceChanged lets through what the relay's configuration depends on: the
// spec of a SharedService, and the port that it was given.
func ServiceChanged() predicate.Predicate {
	return predicate.Or(predicate.GenerationChangedPredicate{}, predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*v1alpha1.SharedService)
		after, also := e.ObjectNew.(*v1alpha1.SharedService)
		return ok && also && before.Status.RelayPort != after.Status.RelayPort
	}})
}

// TargetChanged lets through changes of Services but for their status, which is
// about load balancers.
func TargetChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*corev1.Service)
		after, also := e.ObjectNew.(*corev1.Service)
		return !ok || !also || !equality.Semantic.DeepEqual(before.Spec, after.Spec) ||
			before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero() ||
			!equality.Semantic.DeepEqual(before.OwnerReferences, after.OwnerReferences)
	}}
}
