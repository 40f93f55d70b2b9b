// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"errors"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

func owned(kind, name, uid string, controller bool) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{}}
	o.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "certlink.dev/v1alpha1", Kind: kind, Name: name, UID: types.UID(uid), Controller: &controller}})
	return o
}

func TestOurs(t *testing.T) {
	desired := owned("LocalCERT", "alfa", "2", true)
	for name, tc := range map[string]struct {
		live *unstructured.Unstructured
		want error
	}{
		"made_for_the_same_object":          {owned("LocalCERT", "alfa", "2", true), nil},
		"made_for_one_that_was_deleted":     {owned("LocalCERT", "alfa", "1", true), ErrLeaving},
		"made_for_another":                  {owned("LocalCERT", "bravo", "2", true), ErrForeign},
		"made_by_another_controller":        {owned("Deployment", "alfa", "2", true), ErrForeign},
		"made_by_hand":                      {&unstructured.Unstructured{Object: map[string]any{}}, ErrForeign},
		"made_by_hand_and_tied_to_the_same": {owned("LocalCERT", "alfa", "2", false), ErrForeign},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ours(tc.live, desired); !errors.Is(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}
