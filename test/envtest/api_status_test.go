// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
)

// TestStatusIsASubresource shows that writers of the spec cannot write a status,
// that the operator cannot write a spec, and what moves the generation.
func TestStatusIsASubresource(t *testing.T) {
	s := start(t)
	objects := fullObjects(t)
	for name, elsewhere := range map[string]fieldValues{
		"localcert":            {"spec.identity.displayName": "Somebody else"},
		"peercert-bundle":      {"spec.state": "Active"},
		"sharedfeed-export":    {"spec.export.rule.maxTLP": "AMBER"},
		"sharedservice-export": {"spec.export.serviceRef.port": int64(8080)},
		"hotline":              {"spec.deadlines[0].receiptSeconds": int64(99)},
	} {
		object := objects[name]
		t.Run(name, func(t *testing.T) {
			stored := object.DeepCopy()
			stored.SetNamespace(s.Namespace)
			if err := s.Client.Create(t.Context(), stored); err != nil {
				t.Fatal(err)
			}
			if stored.Object["status"] != nil {
				t.Errorf("a new object came with a status: %v", stored.Object["status"])
			}

			stored.Object["status"] = object.DeepCopy().Object["status"]
			stored.SetLabels(map[string]string{"set-with": "status"})
			stored = withValues(stored, elsewhere)
			if err := s.Client.Status().Update(t.Context(), stored); err != nil {
				t.Fatalf("writing the status: %v", err)
			}
			if diff := cmp.Diff(object.Object["spec"], stored.Object["spec"]); diff != "" {
				t.Errorf("a status update changed the spec (-was +is):\n%s", diff)
			}
			if diff := cmp.Diff(object.Object["status"], stored.Object["status"]); diff != "" {
				t.Errorf("the status that was written and the one that is stored differ (-written +stored):\n%s", diff)
			}
			if stored.GetGeneration() != 1 {
				t.Errorf("generation is %d after a status update, want 1", stored.GetGeneration())
			}

			delete(stored.Object, "status")
			stored.SetLabels(map[string]string{"set-with": "spec"})
			if err := s.Client.Update(t.Context(), stored); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(object.Object["status"], stored.Object["status"]); diff != "" {
				t.Errorf("an update of the object changed the status (-was +is):\n%s", diff)
			}
		})
	}
}

// TestUnknownFieldsAreRefused: a misspelt field is not dropped in silence when
// the client asks for strict validation, as kubectl does.
func TestUnknownFieldsAreRefused(t *testing.T) {
	s := start(t)
	objects := fullObjects(t)
	for object, field := range map[string]string{
		"localcert":            "spec.identity.trustdomain",
		"peercert-bundle":      "spec.trust.caBundle",
		"sharedfeed-export":    "spec.export.rule.maxTlp",
		"sharedservice-import": "spec.import.targetPort",
		"hotline":              "spec.deadlines[0].seconds",
	} {
		t.Run(object, func(t *testing.T) {
			err := tryOut(t, s, withValue(objects[object], field, "x"))
			if err == nil || !strings.Contains(err.Error(), `unknown field "`+field+`"`) {
				t.Errorf("got %v, want a refusal of %s", err, field)
			}
		})
	}
}

// TestSelectableFields finds objects by fields of their spec.
func TestSelectableFields(t *testing.T) {
	s := start(t)
	for name, object := range fullObjects(t) {
		object.SetNamespace(s.Namespace)
		object.SetName(name)
		if err := s.Client.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		list  client.ObjectList
		field client.MatchingFields
		want  int
	}{
		{&v1alpha1.HotlineList{}, client.MatchingFields{"spec.peerRef.name": "bravo"}, 1},
		{&v1alpha1.HotlineList{}, client.MatchingFields{"spec.peerRef.name": "charlie"}, 0},
		{&v1alpha1.PeerCERTList{}, client.MatchingFields{"spec.identity.trustDomain": "bravo.example"}, 2},
		{&v1alpha1.SharedFeedList{}, client.MatchingFields{"spec.direction": "Import"}, 3},
		{&v1alpha1.SharedServiceList{}, client.MatchingFields{"spec.direction": "Export"}, 1},
	}
	for _, c := range cases {
		if err := s.Client.List(t.Context(), c.list, client.InNamespace(s.Namespace), c.field); err != nil {
			t.Errorf("%v: %v", c.field, err)
			continue
		}
		if got := length(c.list); got != c.want {
			t.Errorf("%v: found %d, want %d", c.field, got, c.want)
		}
	}
}

func length(list client.ObjectList) int {
	switch list := list.(type) {
	case *v1alpha1.HotlineList:
		return len(list.Items)
	case *v1alpha1.PeerCERTList:
		return len(list.Items)
	case *v1alpha1.SharedFeedList:
		return len(list.Items)
	case *v1alpha1.SharedServiceList:
		return len(list.Items)
	}
	return -1
}
