// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
)

func TestAnImportedService(t *testing.T) {
	s := &v1alpha1.SharedService{
		ObjectMeta: metav1.ObjectMeta{Namespace: "cert", Name: "bravo-tickets", UID: "0c0ffee0-0000-4000-8000-000000000002"},
		Spec: v1alpha1.SharedServiceSpec{Direction: v1alpha1.ServiceImport, Import: &v1alpha1.ServiceImportSpec{
			PeerRef: v1alpha1.PeerReference{Name: "bravo"}, Service: "tickets", Port: 443,
		}},
		Status: v1alpha1.SharedServiceStatus{RelayPort: 23456},
	}
	got, err := ImportedService("alfa", s)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("testdata", "imported-service.yaml"), []*unstructured.Unstructured{got})
}

// An empty selector of a NetworkPolicy means all pods of the namespace.
func TestAServiceWithoutPodsOpensNothing(t *testing.T) {
	if rules := toTargets([]relayconfig.Target{{Address: "outside.cert.svc:443", Port: intstr.FromInt32(443)}, {Selector: map[string]string{}}}); len(rules) > 0 {
		t.Errorf("the relay would be let out by %d rules", len(rules))
	}
}

// Peers must not reach our relay's own ports, or those of imports, through an export.
func TestASelectorOfTheRelaysPodsIsKnown(t *testing.T) {
	another := Selector("alfa")
	another["app"] = "misp"
	for name, tc := range map[string]struct {
		selector map[string]string
		want     bool
	}{
		"ours":              {Selector("alfa"), true},
		"all_labels":        {Labels("alfa"), true},
		"any_relay":         {map[string]string{LabelName: Name, LabelComponent: Relay}, true},
		"of_another_CERT":   {Selector("bravo"), false},
		"more_than_it_has":  {another, false},
		"something_else":    {map[string]string{LabelName: "misp", LabelInstance: "misp"}, false},
		"no_selector_names": {nil, false},
	} {
		if got := relayconfig.SelectsRelay("alfa", tc.selector); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
