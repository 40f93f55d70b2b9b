// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// documentedDefaults are the values that the API server fills in, by kind and
// path. Everything else that is left out stays out: in the items of lists above all, for
// what compares a list of a custom resource compares it as a whole, as kubectl apply and
// Argo CD do, and would take a value that was filled in for a difference for ever.
var documentedDefaults = map[string]any{
	"LocalCERT spec.issuerRef.kind":       "Issuer",
	"LocalCERT spec.authority.generation": int64(1),
	"LocalCERT spec.authority.rotation":   "Automatic",
	"LocalCERT spec.relay.service.type":   "LoadBalancer",

	"PeerCERT spec.trust.bundleRef.key":               "ca.crt",
	"PeerCERT spec.state":                             "Active",
	"PeerCERT spec.transit":                           "Denied",
	"PeerCERT spec.trust.rotation":                    "Automatic",
	"PeerCERT spec.limits.tunnelConnections":          int64(1024),
	"PeerCERT spec.limits.transitKibibytesPerSecond":  int64(1024),
	"PeerCERT spec.detection.intervalMilliseconds":    int64(100),
	"PeerCERT spec.detection.misses":                  int64(3),
	"PeerCERT status.paths[].direction":               "Dialed", // which all were in the release before
	"SharedService spec.export.limits.maxConnections": int64(1024),
	"SharedService spec.export.limits.idleSeconds":    int64(3600),
	"SharedService spec.import.from":                  "Namespace",
	"SharedService spec.import.limits.maxConnections": int64(1024),
	"SharedService spec.import.limits.idleSeconds":    int64(3600),
	"SharedFeed spec.export.rule.minAgreement":        int64(1),
	"SharedFeed spec.import.intervalSeconds":          int64(60),
	"SharedFeed spec.import.maxObjects":               int64(1000000),
}

// TestDefaults leaves each field with a default out of a full object.
func TestDefaults(t *testing.T) {
	s := start(t)
	objects := fullObjects(t)
	seen := map[string]bool{}
	for kind, schema := range schemas(t) {
		walk("", schema, func(path string, field *apiextensionsv1.JSONSchemaProps) {
			key := kind + " " + path
			want, documented := documentedDefaults[key]
			seen[key] = true
			if (field.Default != nil) != documented {
				t.Errorf("%s: the schema has the default %v, the table has %v", key, field.Default, want)
			}
			if !documented {
				return
			}
			t.Run(key, func(t *testing.T) {
				_, base := objectHaving(objects, kind, firstItem(path))
				left := withValue(base, firstItem(path), absent{})
				left.SetNamespace(s.Namespace)
				fill(t, s, left, strings.HasPrefix(path, "status"))
				got, _ := valueAt(left, firstItem(path))
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("the default (-want +got):\n%s", diff)
				}
			})
		})
	}
	for key := range documentedDefaults {
		if !seen[key] {
			t.Errorf("%s: there is no such field", key)
		}
	}
}

// fill lets the API server fill the defaults of an object, and stores nothing but,
// where the status counts, the object without it.
func fill(t *testing.T, s *server, object *unstructured.Unstructured, status bool) {
	t.Helper()
	if !status {
		if err := s.Client.Create(t.Context(), object, client.DryRunAll); err != nil {
			t.Fatal(err)
		}
		return
	}
	given := object.Object["status"]
	if err := s.Client.Create(t.Context(), object.DeepCopy()); client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
	if err := s.Client.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		t.Fatal(err)
	}
	object.Object["status"] = given
	if err := s.Client.Status().Update(t.Context(), object, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
}

// TestNoOtherDefaults stores full objects: a field that is given stays as it is,
// and nothing is added beside it.
func TestNoOtherDefaults(t *testing.T) {
	s := start(t)
	for name, object := range fullObjects(t) {
		t.Run(name, func(t *testing.T) {
			stored := object.DeepCopy()
			stored.SetNamespace(s.Namespace)
			if err := s.Client.Create(t.Context(), stored, client.DryRunAll); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(object.Object["spec"], stored.Object["spec"]); diff != "" {
				t.Errorf("spec changed (-given +stored):\n%s", diff)
			}
		})
	}
}
