// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/internal/card"
)

const samplesDir = repository + "/config/samples"

// samples are the manifests of config/samples by file name.
func samples(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	files, err := filepath.Glob(samplesDir + "/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("looking for samples: %v, found %d", err, len(files))
	}
	found := map[string]*unstructured.Unstructured{}
	for _, file := range files {
		found[filepath.Base(file)] = readObject(t, file)
	}
	return found
}

// create applies an object as a person's tool does: server-side, strictly.
func create(t *testing.T, s *server, object *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	applied := object.DeepCopy()
	applied.SetNamespace(s.Namespace)
	if err := s.Client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(applied), author); err != nil {
		t.Fatalf("applying %s %s: %v", object.GetKind(), object.GetName(), err)
	}
	return applied
}

// TestSamples applies every sample: there is one for each kind, the API server
// takes it without a warning, adds nothing but documented defaults, and applying
// it again writes nothing.
func TestSamples(t *testing.T) {
	s := start(t)
	kinds := map[string]bool{}
	for file, sample := range samples(t) {
		kinds[sample.GetKind()] = true
		t.Run(file, func(t *testing.T) { appliesCleanly(t, s, sample) })
	}
	for kind := range schemas(t) {
		if !kinds[kind] {
			t.Errorf("config/samples has no %s", kind)
		}
	}
}

// appliesCleanly applies an object twice and compares.
func appliesCleanly(t *testing.T, s *server, object *unstructured.Unstructured) {
	t.Helper()
	before := len(s.Warnings.all())
	applied := create(t, s, object)
	if got := s.Warnings.all()[before:]; len(got) > 0 {
		t.Errorf("the API server warned: %q", got)
	}
	defaults := map[string]any{}
	schema := schemas(t)[object.GetKind()]
	if schema != nil {
		defaults = defaultsOf(schema)
	}
	given := map[string]any{}
	flatten("spec", object.Object["spec"], func(path string, value any) { given[path] = value })
	flatten("spec", applied.Object["spec"], func(path string, value any) {
		want, ok := given[path]
		if !ok {
			want, ok = defaults[indexes.ReplaceAllString(path, "[]")]
		}
		if !ok && schema == nil {
			return // what the API server adds to kinds that are not ours is its own affair
		}
		if diff := cmp.Diff(want, value); !ok || diff != "" {
			t.Errorf("%s was neither given nor is a documented default: %v", path, value)
		}
		delete(given, path)
	})
	for path := range given {
		t.Errorf("%s was given and is gone", path)
	}
	if again := create(t, s, object); again.GetResourceVersion() != applied.GetResourceVersion() {
		t.Error("applying it again wrote it again")
	}
}

var indexes = regexp.MustCompile(`\[\d+\]`)

// defaultsOf are the defaults of a kind by path.
func defaultsOf(schema *apiextensionsv1.JSONSchemaProps) map[string]any {
	found := map[string]any{}
	walk("", schema, func(path string, field *apiextensionsv1.JSONSchemaProps) {
		if field.Default == nil {
			return
		}
		var value any
		if err := json.Unmarshal(field.Default.Raw, &value); err != nil {
			panic(err) // the API server took the CRD, so it is JSON
		}
		if number, ok := value.(float64); ok {
			value = int64(number)
		}
		found[path] = value
	})
	return found
}

// TestSampleIsACard: the sample of a PeerCERT is what kubectl certlink peer add
// takes, with a CA that is valid.
func TestSampleIsACard(t *testing.T) {
	peer := readObject(t, samplesDir+"/certlink_v1alpha1_peercert.yaml")
	bundle, _ := valueAt(peer, "spec.trust.bundle")
	certs, err := card.Certificates(bundle.(string))
	if err != nil {
		t.Fatal(err)
	}
	for _, cert := range certs {
		if now := metav1.Now().Time; now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
			t.Errorf("the CA certificate %s is valid from %s to %s", cert.Subject, cert.NotBefore, cert.NotAfter)
		}
	}
}

// TestSamplesBelongTogether: every reference of a sample has its object among
// the samples.
func TestSamplesBelongTogether(t *testing.T) {
	all := samples(t)
	peers := map[string]bool{}
	for _, sample := range all {
		if sample.GetKind() == "PeerCERT" {
			peers[sample.GetName()] = true
		}
	}
	for file, sample := range all {
		flatten("", sample.Object, func(path string, value any) {
			reference := strings.Contains(path, "peerRef") && strings.HasSuffix(path, ".name")
			if name, _ := value.(string); reference && !peers[name] {
				t.Errorf("%s: %s names %q, which is no sample", file, path, name)
			}
		})
	}
}
