// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nations

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/certlink/certlink/test/nations/internal/binaries"
	"github.com/certlink/certlink/test/nations/internal/layout"
)

func TestRenderAddons(t *testing.T) {
	bravo, err := layout.Find("bravo")
	if err != nil {
		t.Fatal(err)
	}
	text, err := renderAddons(addonData{Nation: bravo, All: layout.All(), Set: binaries.Set{Version: "v1"}})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]unstructured.Unstructured{}
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		var object unstructured.Unstructured
		if err := decoder.Decode(&object); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if object.Object != nil {
			found[object.GetKind()+"/"+object.GetName()] = object
		}
	}
	for _, want := range []string{"Deployment/coredns", "Service/kube-dns", "Deployment/cert-manager", "StorageClass/standard", "StorageClass/bounded"} {
		if _, ok := found[want]; !ok {
			t.Errorf("%s is missing", want)
		}
	}
	corefile, _, err := unstructured.NestedString(found["ConfigMap/coredns"].Object, "data", "Corefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`answer "{{ .Name }} 5 IN A 198.18.0.101"`, `answer "{{ .Name }} 5 IN A 198.18.0.201"`,
		"198.18.0.102 lb2.alfa.test", "198.18.0.3 node.charlie.test",
		"\nnode.alfa.test:53 lb2.alfa.test:53 ", // a zone of their own, before the template of alfa.test
	} {
		if !strings.Contains(corefile, want) {
			t.Errorf("the name server does not know %q", want)
		}
	}
	if address, _, _ := unstructured.NestedString(found["Service/kube-dns"].Object, "spec", "clusterIP"); address != "10.21.0.10" {
		t.Errorf("DNS of bravo is at %q, want 10.21.0.10", address)
	}
}
