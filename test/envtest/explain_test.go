// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/openapi"
)

// TestEveryFieldIsExplained walks the document from which kubectl explain reads.
func TestEveryFieldIsExplained(t *testing.T) {
	s := start(t)
	published := publishedSchemas(t, s)
	for kind, schema := range schemas(t) {
		if !strings.Contains(published, `"dev.certlink.v1alpha1.`+kind+`"`) {
			t.Errorf("the API server publishes no schema of %s", kind)
		}
		if schema.Description == "" {
			t.Errorf("%s has no description", kind)
		}
		walk("", schema, func(path string, field *apiextensionsv1.JSONSchemaProps) {
			if path == "" || strings.HasSuffix(path, "[]") {
				return // an item of a list is explained by its list
			}
			switch {
			case field.Description == "":
				t.Errorf("%s.%s has no description", kind, path)
			case !strings.Contains(published, asJSON(t, field.Description)):
				t.Errorf("%s.%s: the description in the CRD is not the one that is published: %q", kind, path, field.Description)
			}
		})
	}
}

// TestLimitsAreExplained: whoever reads only kubectl explain learns the bounds
// and the default of a number.
func TestLimitsAreExplained(t *testing.T) {
	number := regexp.MustCompile(`\d+ to \d+`)
	for kind, schema := range schemas(t) {
		explained := map[string]string{}
		walk("", schema, func(path string, field *apiextensionsv1.JSONSchemaProps) {
			explained[path] = field.Description
			if field.Type != "integer" || strings.HasPrefix(path, "status") {
				return
			}
			// The numbers of a list are explained where the list is.
			if text := explained[strings.TrimSuffix(path, "[]")]; !number.MatchString(text) {
				t.Errorf("%s.%s does not say its range: %q", kind, path, text)
			}
			if field.Default != nil && !strings.Contains(field.Description, "efault "+string(field.Default.Raw)) {
				t.Errorf("%s.%s does not say its default %s: %q", kind, path, field.Default.Raw, field.Description)
			}
		})
	}
}

// publishedSchemas is the OpenAPI v3 document of our group as JSON.
func publishedSchemas(t *testing.T, s *server) string {
	t.Helper()
	client, err := discovery.NewDiscoveryClientForConfig(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	paths, err := openapi.NewClient(client.RESTClient()).Paths()
	if err != nil {
		t.Fatal(err)
	}
	document, err := paths["apis/certlink.dev/v1alpha1"].Schema("application/json")
	if err != nil {
		t.Fatal(err)
	}
	return string(document)
}

func asJSON(t *testing.T, text string) string {
	t.Helper()
	encoded, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

// TestDiscovery checks the names by which people ask for the kinds.
func TestDiscovery(t *testing.T) {
	s := start(t)
	client, err := discovery.NewDiscoveryClientForConfig(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	list, err := client.ServerResourcesForGroupVersion("certlink.dev/v1alpha1")
	if err != nil {
		t.Fatal(err)
	}
	type names struct{ Kind, Singular, Short, Category string }
	got := map[string]names{}
	for _, resource := range list.APIResources {
		if strings.Contains(resource.Name, "/") {
			continue // its status
		}
		if !resource.Namespaced {
			t.Errorf("%s is not namespaced", resource.Name)
		}
		got[resource.Name] = names{resource.Kind, resource.SingularName, strings.Join(resource.ShortNames, ","), strings.Join(resource.Categories, ",")}
	}
	want := map[string]names{
		"localcerts":     {"LocalCERT", "localcert", "lcert", "certlink"},
		"peercerts":      {"PeerCERT", "peercert", "pcert", "certlink"},
		"sharedfeeds":    {"SharedFeed", "sharedfeed", "sfeed", "certlink"},
		"sharedservices": {"SharedService", "sharedservice", "ssvc", "certlink"},
		"hotlines":       {"Hotline", "hotline", "hl", "certlink"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

// TestKubectl applies the samples and uses the short names, the category and explain as a person would.
func TestKubectl(t *testing.T) {
	s := start(t)
	if got := lines(s.kubectl(t, "apply", "-f", samplesDir)); len(got) != len(samples(t)) {
		t.Errorf("applying config/samples as the README has it: %q", got)
	}
	if got := lines(s.kubectl(t, "get", "lcert,pcert,sfeed,ssvc,hl", "-o", "name")); !slices.Equal(got, []string{
		"localcert.certlink.dev/alfa", "peercert.certlink.dev/bravo",
		"sharedfeed.certlink.dev/advisories", "sharedfeed.certlink.dev/bravo-advisories", "sharedfeed.certlink.dev/collected",
		"sharedservice.certlink.dev/bravo-tickets", "sharedservice.certlink.dev/misp", "hotline.certlink.dev/bravo",
	}) {
		t.Errorf("short names found %q", got)
	}
	if got := lines(s.kubectl(t, "get", "certlink", "-o", "name")); len(got) != 8 {
		t.Errorf("the category found %q, want eight objects", got)
	}
	explained := s.kubectl(t, "explain", "pcert.spec")
	for _, want := range []string{"GROUP:      certlink.dev", "KIND:       PeerCERT", "detection\t<Object>", "endpoints\t<[]Object>", "identity\t<Object> -required-", "state\t<string>", "enum: Active, Suspended, Drained, Revoked", "limits\t<Object>", "trust\t<Object> -required-"} {
		if !strings.Contains(explained, want) {
			t.Errorf("kubectl explain pcert.spec does not say %q:\n%s", want, explained)
		}
	}
}

func lines(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") }
