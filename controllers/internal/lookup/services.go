// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package lookup

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
)

// serviceName is the Service that an export leads to, or that an import becomes.
func serviceName(o client.Object) []string {
	s, ok := o.(*v1alpha1.SharedService)
	switch {
	case !ok:
		return nil
	case s.Spec.Export != nil:
		return []string{s.Spec.Export.ServiceRef.Name}
	}
	return []string{s.Name}
}

// Targets are the Services that the exports among services name, by name, as far
// as they exist.
func Targets(ctx context.Context, reader client.Reader, namespace string, services []v1alpha1.SharedService) (map[string]*corev1.Service, error) {
	out := map[string]*corev1.Service{}
	for i := range services {
		if services[i].Spec.Export == nil {
			continue
		}
		name := services[i].Spec.Export.ServiceRef.Name
		if _, seen := out[name]; seen {
			continue
		}
		service := &corev1.Service{}
		switch err := reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, service); {
		case err == nil && service.DeletionTimestamp.IsZero():
			out[name] = service
		case err != nil && !apierrors.IsNotFound(err):
			return nil, fmt.Errorf("reading Service %q: %w", name, err)
		}
	}
	return out, nil
}
