// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// readObject reads one manifest.
func readObject(t *testing.T, path string) *unstructured.Unstructured {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return parseObject(t, path, data)
}

// parseObject parses one manifest strictly. What it is from stands in messages.
func parseObject(t *testing.T, from string, manifest []byte) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	asJSON, err := yaml.YAMLToJSONStrict(manifest)
	if err == nil {
		err = object.UnmarshalJSON(asJSON)
	}
	if err != nil {
		t.Fatalf("reading %s: %v", from, err)
	}
	return object
}

// fullObjects are valid objects by file name, which together use every field
// of every kind. Tests spoil copies of them in one place.
func fullObjects(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	files, err := filepath.Glob("testdata/full/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("looking for full objects: %v, found %d", err, len(files))
	}
	objects := map[string]*unstructured.Unstructured{}
	for _, file := range files {
		objects[strings.TrimSuffix(filepath.Base(file), ".yaml")] = readObject(t, file)
	}
	return objects
}

// schemas are the schemas of our kinds as the CRDs have them.
func schemas(t *testing.T) map[string]*apiextensionsv1.JSONSchemaProps {
	t.Helper()
	found := map[string]*apiextensionsv1.JSONSchemaProps{}
	for _, crd := range environment.CRDs {
		if crd.Spec.Group == "certlink.dev" {
			found[crd.Spec.Names.Kind] = crd.Spec.Versions[0].Schema.OpenAPIV3Schema
		}
	}
	if len(found) != 5 {
		t.Fatalf("found the CRDs of %v, want five kinds", slices.Collect(maps.Keys(found)))
	}
	return found
}

// foreign are the subtrees whose rules are those of core/v1, not ours.
var foreign = []string{"spec.relay.resources", "spec.relay.tolerations[]", "spec.relay.storage.size"}

// walk visits the schema of an object field by field, parents first. The path of
// an item of a list is that of the list with [] behind it. Keys of maps of free
// form are not visited, nor is what is below a foreign field.
func walk(path string, schema *apiextensionsv1.JSONSchemaProps, visit func(path string, schema *apiextensionsv1.JSONSchemaProps)) {
	visit(path, schema)
	if slices.Contains(foreign, path) {
		return
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		walk(path+"[]", schema.Items.Schema, visit)
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		if path == "" && name != "spec" && name != "status" {
			continue // those of every object
		}
		child := schema.Properties[name]
		walk(strings.TrimPrefix(path+"."+name, "."), &child, visit)
	}
}

// step is one step of a path: the name of a field, or the index of an item.
type step struct {
	name  string
	index int
}

// pathSteps splits a path such as spec.endpoints[0].address.
func pathSteps(path string) []step {
	var list []step
	for part := range strings.SplitSeq(path, ".") {
		name, index, indexed := strings.Cut(part, "[")
		list = append(list, step{name: name})
		if indexed {
			n, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
			if err != nil {
				panic("no index in " + path)
			}
			list = append(list, step{index: n})
		}
	}
	return list
}

// firstItem is the concrete path of the first item on a path with [].
func firstItem(path string) string { return strings.ReplaceAll(path, "[]", "[0]") }

// valueAt returns what an object has at a path.
func valueAt(object *unstructured.Unstructured, path string) (any, bool) {
	var at any = object.Object
	if path == "" {
		return at, true
	}
	for _, s := range pathSteps(path) {
		switch here := at.(type) {
		case map[string]any:
			next, ok := here[s.name]
			if !ok {
				return nil, false
			}
			at = next
		case []any:
			if s.index >= len(here) {
				return nil, false
			}
			at = here[s.index]
		default:
			return nil, false
		}
	}
	return at, true
}

// absent, as a value, removes the field.
type absent struct{}

// withValue returns a copy of an object with another value at a path, whose parents
// are made as they are needed.
func withValue(object *unstructured.Unstructured, path string, value any) *unstructured.Unstructured {
	changed := object.DeepCopy()
	changed.Object = putValue(changed.Object, pathSteps(path), value).(map[string]any)
	return changed
}

func putValue(at any, path []step, value any) any {
	if len(path) == 0 {
		return value
	}
	s, rest := path[0], path[1:]
	if s.name == "" {
		list, _ := at.([]any)
		for len(list) <= s.index {
			list = append(list, nil)
		}
		list[s.index] = putValue(list[s.index], rest, value)
		return list
	}
	fields, ok := at.(map[string]any)
	if !ok {
		fields = map[string]any{}
	}
	if _, remove := value.(absent); remove && len(rest) == 0 {
		delete(fields, s.name)
		return fields
	}
	fields[s.name] = putValue(fields[s.name], rest, value)
	return fields
}

// flatten visits the leaves of a tree in a fixed order.
func flatten(path string, at any, visit func(path string, value any)) {
	switch here := at.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(here)) {
			flatten(strings.TrimPrefix(path+"."+name, "."), here[name], visit)
		}
	case []any:
		for i, item := range here {
			flatten(path+"["+strconv.Itoa(i)+"]", item, visit)
		}
	default:
		visit(path, here)
	}
}
