// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// tool returns the path of a pinned tool, which is built on first use.
func tool(t *testing.T, name string) string {
	t.Helper()
	out, err := run(t, root+"/hack/tool.sh", name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func set(values ...string) []string {
	args := make([]string, 0, 2*len(values))
	for _, value := range values {
		args = append(args, "--set", value)
	}
	return args
}

func template(t *testing.T, helm string, args ...string) ([]byte, error) {
	t.Helper()
	return run(t, helm, append([]string{"template", "certlink", ".", "--namespace", "certlink-system"}, args...)...)
}

func render(t *testing.T, helm string, args ...string) []map[string]any {
	t.Helper()
	out, err := template(t, helm, args...)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, out)
}

func run(t *testing.T, name string, args ...string) ([]byte, error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(t.Context(), name, args...)
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("running %s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, stderr.String())
	}
	return stdout.Bytes(), nil
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func decode(t *testing.T, documents []byte) []map[string]any {
	t.Helper()
	var objects []map[string]any
	for document := range strings.SplitSeq("\n"+string(documents), "\n---") {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatalf("decoding: %v\n%s", err, document)
		}
		if len(object) > 0 {
			objects = append(objects, object)
		}
	}
	return objects
}

func find(t *testing.T, objects []map[string]any, kind, name string) map[string]any {
	t.Helper()
	for _, object := range objects {
		if object["kind"] == kind && nested(object, "metadata", "name") == name {
			return object
		}
	}
	t.Fatalf("%s %s is not rendered", kind, name)
	return nil
}

func pod(t *testing.T, objects []map[string]any) map[string]any {
	t.Helper()
	return nested(find(t, objects, "Deployment", "certlink-operator"), "spec", "template", "spec").(map[string]any)
}

func nested(object map[string]any, path ...string) any {
	var value any = object
	for _, key := range path {
		inner, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = inner[key]
	}
	return value
}

func describe(object map[string]any) string {
	return fmt.Sprintf("%v %v", object["kind"], nested(object, "metadata", "name"))
}
