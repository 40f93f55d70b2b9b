// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package chart_test renders the chart with the pinned helm and checks what users
// would get: which values are refused, what is installed, and that the rights are
// those of config/rbac and nothing else. It does not install anything.
package chart_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata/*.yaml")

// root is the repository, seen from this package.
const root = "../.."

func TestValues(t *testing.T) {
	helm := tool(t, "helm")
	tests := []struct {
		name string
		set  []string
		want string // part of the refusal; empty: accepted
	}{
		{name: "defaults_are_accepted"},
		{name: "an_unknown_value_is_refused", set: []string{"replica=2"}, want: "additional properties 'replica' not allowed"},
		{name: "an_unknown_value_deeper_down_is_refused", set: []string{"image.version=v1"}, want: "additional properties 'version' not allowed"},
		{name: "two_replicas_need_leader_election", set: []string{"replicas=2", "leaderElection=false"}, want: "/leaderElection"},
		{name: "two_replicas_with_leader_election_are_accepted", set: []string{"replicas=2"}},
		{name: "a_digest_is_a_sha256", set: []string{"image.digest=sha256:1234"}, want: "/image/digest"},
		{name: "a_tag_has_no_slash", set: []string{"image.tag=a/b"}, want: "/image/tag"},
		{name: "an_empty_repository_is_refused", set: []string{"image.repository="}, want: "/image/repository"},
		{name: "a_pull_policy_is_one_of_three", set: []string{"image.pullPolicy=Sometimes"}, want: "/image/pullPolicy"},
		{name: "a_namespace_is_a_dns_label", set: []string{"watchNamespaces={Alfa}"}, want: "/watchNamespaces/0"},
		{name: "a_port_is_a_port", set: []string{"networkPolicy.apiServerPorts={70000}"}, want: "/networkPolicy/apiServerPorts/0"},
		{name: "an_argument_starts_with_a_dash", set: []string{"extraArgs={leader-elect}"}, want: "/extraArgs/0"},
		{name: "a_log_level_is_one_of_three", set: []string{"logLevel=trace"}, want: "/logLevel"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := template(t, helm, set(test.set...)...)
			switch {
			case test.want == "" && err != nil:
				t.Fatalf("refused: %v", err)
			case test.want != "" && err == nil:
				t.Fatalf("accepted, want a refusal that names %q", test.want)
			case test.want != "" && !strings.Contains(err.Error(), test.want):
				t.Fatalf("refusal %q does not name %q", err, test.want)
			}
		})
	}
}

func TestGolden(t *testing.T) {
	helm := tool(t, "helm")
	tests := []struct {
		name string
		args []string
	}{
		// Rights and definitions are compared with config/, not with a file here.
		{name: "default", args: set("crds.enabled=false", "rbac.create=false")},
		{name: "everything", args: []string{"--values", "testdata/everything-values.yaml"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := template(t, helm, test.args...)
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", test.name+".yaml")
			if *update {
				if err := os.WriteFile(golden, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(read(t, golden)), string(got)); diff != "" {
				t.Errorf("the chart renders something else than %s (-want +got); if that is meant, run go test ./charts/... -update\n%s", golden, diff)
			}
		})
	}
}

func TestOperatorRights(t *testing.T) {
	helm := tool(t, "helm")
	want := decode(t, read(t, root+"/config/rbac/role.yaml"))[0]["rules"]

	t.Run("the_cluster_role_is_the_generated_one", func(t *testing.T) {
		got := find(t, render(t, helm), "ClusterRole", "certlink-operator")
		if diff := cmp.Diff(want, got["rules"]); diff != "" {
			t.Errorf("rights differ from config/rbac/role.yaml (-want +got); run make generate\n%s", diff)
		}
	})

	t.Run("a_list_of_namespaces_leaves_no_wider_right_than_to_read_cluster_issuers", func(t *testing.T) {
		objects := render(t, helm, set("watchNamespaces={alfa}")...)
		got := find(t, objects, "Role", "certlink-operator")
		if diff := cmp.Diff(want, got["rules"]); diff != "" {
			t.Errorf("rights in the namespace differ from config/rbac/role.yaml (-want +got)\n%s", diff)
		}
		issuers := []any{map[string]any{
			"apiGroups": []any{"cert-manager.io"}, "resources": []any{"clusterissuers"}, "verbs": []any{"get"},
		}}
		if diff := cmp.Diff(any(issuers), find(t, objects, "ClusterRole", "certlink-operator")["rules"]); diff != "" {
			t.Errorf("cluster-wide rights differ (-want +got)\n%s", diff)
		}
		args := pod(t, objects)["containers"].([]any)[0].(map[string]any)["args"].([]any)
		if !slices.Contains(args, any("--watch-namespaces=alfa")) {
			t.Errorf("the operator is not told its namespaces: %v", args)
		}
	})

	t.Run("without_rbac_no_right_is_rendered", func(t *testing.T) {
		for _, object := range render(t, helm, set("rbac.create=false")...) {
			if strings.Contains(object["kind"].(string), "Role") {
				t.Errorf("rendered %s", describe(object))
			}
		}
	})
}

func TestUserRoles(t *testing.T) {
	objects := render(t, tool(t, "helm"))
	files, err := filepath.Glob(root + "/config/rbac/*_*_role.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.Contains(file, "leader_election") {
			continue
		}
		want := decode(t, read(t, file))[0]
		name := nested(want, "metadata", "name").(string)
		t.Run(name, func(t *testing.T) {
			got := find(t, objects, "ClusterRole", name)
			if diff := cmp.Diff(want["rules"], got["rules"]); diff != "" {
				t.Errorf("differs from %s (-want +got)\n%s", file, diff)
			}
			labels := nested(got, "metadata", "labels").(map[string]any)
			for key, value := range nested(want, "metadata", "labels").(map[string]any) {
				if labels[key] != value {
					t.Errorf("label %s is %v, want %v", key, labels[key], value)
				}
			}
		})
	}
}

func TestDefinitions(t *testing.T) {
	helm := tool(t, "helm")
	files, err := filepath.Glob(root + "/config/crd/bases/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no definitions in config/crd/bases: %v", err)
	}

	t.Run("each_is_rendered_and_kept_on_uninstall", func(t *testing.T) {
		objects := render(t, helm)
		for _, file := range files {
			want := decode(t, read(t, file))[0]
			got := find(t, objects, "CustomResourceDefinition", nested(want, "metadata", "name").(string))
			if diff := cmp.Diff(want["spec"], got["spec"]); diff != "" {
				t.Errorf("differs from %s (-want +got); run make generate\n%s", file, diff)
			}
			if policy := nested(got, "metadata", "annotations", "helm.sh/resource-policy"); policy != "keep" {
				t.Errorf("%s has resource policy %v, want keep", describe(got), policy)
			}
		}
	})

	t.Run("they_go_with_the_chart_if_asked", func(t *testing.T) {
		for _, object := range render(t, helm, set("crds.keep=false")...) {
			if policy := nested(object, "metadata", "annotations", "helm.sh/resource-policy"); policy != nil {
				t.Errorf("%s has resource policy %v", describe(object), policy)
			}
		}
	})

	t.Run("they_can_be_left_out", func(t *testing.T) {
		for _, object := range render(t, helm, set("crds.enabled=false")...) {
			if object["kind"] == "CustomResourceDefinition" {
				t.Errorf("rendered %s", describe(object))
			}
		}
	})
}

func TestEveryObjectHasTheCommonLabelsAndAnnotations(t *testing.T) {
	objects := render(t, tool(t, "helm"), set("commonLabels.team=duty", "commonAnnotations.contact=duty", "watchNamespaces={alfa}",
		"serviceMonitor.enabled=true", "prometheusRule.enabled=true", "podDisruptionBudget.enabled=true")...)
	kinds := map[any]bool{}
	for _, object := range objects {
		kinds[object["kind"]] = true
		if label := nested(object, "metadata", "labels", "team"); label != "duty" {
			t.Errorf("the label of %s is %v", describe(object), label)
		}
		if annotation := nested(object, "metadata", "annotations", "contact"); annotation != "duty" {
			t.Errorf("the annotation of %s is %v", describe(object), annotation)
		}
	}
	for _, kind := range []string{"CustomResourceDefinition", "ClusterRole", "Role", "RoleBinding", "ServiceMonitor", "PodMonitor", "PrometheusRule", "PodDisruptionBudget"} {
		if !kinds[kind] {
			t.Errorf("no %s was rendered", kind)
		}
	}
}

func TestImages(t *testing.T) {
	helm := tool(t, "helm")
	digest := "sha256:" + strings.Repeat("a", 64)
	tests := []struct {
		name            string
		set             []string
		operator, relay string
	}{
		{name: "relays_run_the_operators_image", set: []string{"image.repository=r/c", "image.tag=v9"}, operator: "r/c:v9", relay: "r/c:v9"},
		{name: "a_digest_wins_over_a_tag", set: []string{"image.repository=r/c", "image.tag=v9", "image.digest=" + digest}, operator: "r/c@" + digest, relay: "r/c@" + digest},
		{name: "relays_can_have_their_own_tag", set: []string{"image.repository=r/c", "image.tag=v9", "relayImage.tag=v8"}, operator: "r/c:v9", relay: "r/c:v8"},
		{name: "relays_of_another_repository_have_the_operators_tag", set: []string{"image.repository=r/c", "image.tag=v9", "relayImage.repository=r/relay"}, operator: "r/c:v9", relay: "r/relay:v9"},
		{name: "relays_can_have_their_own_repository", set: []string{"image.repository=r/c", "relayImage.repository=r/relay", "relayImage.digest=" + digest}, operator: "r/c:v0.1.0", relay: "r/relay@" + digest},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			deployment := find(t, render(t, helm, set(test.set...)...), "Deployment", "certlink-operator")
			container := nested(deployment, "spec", "template", "spec", "containers").([]any)[0].(map[string]any)
			if container["image"] != test.operator {
				t.Errorf("operator runs %v, want %s", container["image"], test.operator)
			}
			want := "--relay-image=" + test.relay
			if arg := container["args"].([]any)[0]; arg != want {
				t.Errorf("first argument is %v, want %s", arg, want)
			}
		})
	}
}

func TestKustomizations(t *testing.T) {
	kustomize := tool(t, "kustomize")
	for _, folder := range []string{"crd", "rbac", "manager", "network-policy", "default", "prometheus", "gitops/argocd"} {
		t.Run(strings.ReplaceAll(folder, "/", "_")+"_builds", func(t *testing.T) {
			out, err := run(t, kustomize, "build", root+"/config/"+folder)
			if err != nil {
				t.Fatal(err)
			}
			if len(decode(t, out)) == 0 {
				t.Error("it holds no object")
			}
		})
	}
}

func TestDeploymentsAgree(t *testing.T) {
	out, err := run(t, tool(t, "kustomize"), "build", root+"/config/default")
	if err != nil {
		t.Fatal(err)
	}
	want := pod(t, decode(t, out))
	got := pod(t, render(t, tool(t, "helm")))
	for _, field := range []string{"securityContext", "terminationGracePeriodSeconds"} {
		if diff := cmp.Diff(want[field], got[field]); diff != "" {
			t.Errorf("pod's %s differs between config/default and the chart (-want +got)\n%s", field, diff)
		}
	}
	wantContainer := want["containers"].([]any)[0].(map[string]any)
	gotContainer := got["containers"].([]any)[0].(map[string]any)
	for _, field := range []string{"command", "ports", "livenessProbe", "readinessProbe", "resources", "securityContext"} {
		if diff := cmp.Diff(wantContainer[field], gotContainer[field]); diff != "" {
			t.Errorf("container's %s differs between config/default and the chart (-want +got)\n%s", field, diff)
		}
	}
}
