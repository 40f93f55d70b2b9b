// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Annotate sets one annotation of an existing object, if it has another value.
// The object is known by its metadata only.
func (a Applier) Annotate(ctx context.Context, o *metav1.PartialObjectMetadata, key, value string) error {
	if o.Annotations[key] == value {
		return nil
	}
	changed := o.DeepCopy()
	if changed.Annotations == nil {
		changed.Annotations = map[string]string{}
	}
	changed.Annotations[key] = value
	if err := client.IgnoreNotFound(a.Client.Patch(ctx, changed, client.MergeFrom(o), a.Owner)); err != nil {
		return fmt.Errorf("annotating %s %q: %w", o.Kind, o.Name, err)
	}
	return nil
}
