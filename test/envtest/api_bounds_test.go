// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// breach is one rule of the schema, broken in an object that is valid otherwise.
type breach struct {
	rule  string // as in the schema, for example maxLength
	path  string // of the field to set
	value any
	field string // that the API server must name
	want  string // that it must say
}

// breaches breaks each OpenAPI rule of one field in turn. Path is concrete.
func breaches(path string, s *apiextensionsv1.JSONSchemaProps, valid any) []breach {
	var list []breach
	breaks := func(rule string, value any, want string, args ...any) {
		list = append(list, breach{rule: rule, path: path, value: value, field: path, want: fmt.Sprintf(want, args...)})
	}
	if s.MinLength != nil {
		breaks("minLength", strings.Repeat("a", int(*s.MinLength)-1), "should be at least %d chars long", *s.MinLength)
	}
	if s.MaxLength != nil {
		breaks("maxLength", strings.Repeat("a", int(*s.MaxLength)+1), "may not be more than %d bytes", *s.MaxLength)
	}
	if s.Pattern != "" && !s.XIntOrString {
		breaks("pattern", "#", "should match '%s'", s.Pattern)
	}
	if s.Minimum != nil {
		breaks("minimum", int64(*s.Minimum)-1, "should be greater than or equal to %d", int64(*s.Minimum))
	}
	if s.Maximum != nil {
		breaks("maximum", int64(*s.Maximum)+1, "should be less than or equal to %d", int64(*s.Maximum))
	}
	if s.MinItems != nil {
		breaks("minItems", someItems(valid, int(*s.MinItems)-1, s), "should have at least %d items", *s.MinItems)
	}
	if s.MaxItems != nil {
		breaks("maxItems", someItems(valid, int(*s.MaxItems)+1, s), "must have at most %d items", *s.MaxItems)
	}
	if s.MaxProperties != nil {
		breaks("maxProperties", someProperties(int(*s.MaxProperties)+1), "must have at most %d items", *s.MaxProperties)
	}
	if s.MinProperties != nil && *s.MinProperties > 0 && !filledByDefault(s) {
		breaks("minProperties", map[string]any{}, "should have at least %d properties", *s.MinProperties)
	}
	if len(s.Enum) > 0 {
		breaks("enum", "Nonsense", "supported values: %s", enumValues(s))
	}
	if s.Type != "" {
		breaks("type", wrongType(s), "must be of type %s", typeName(s))
	}
	return append(list, structural(path, s, valid)...)
}

// structural breaks the rules about an object's fields and a list's keys.
func structural(path string, s *apiextensionsv1.JSONSchemaProps, valid any) []breach {
	var list []breach
	for _, name := range s.Required {
		at := strings.TrimPrefix(path+"."+name, ".")
		list = append(list, breach{rule: "required " + name, path: at, value: absent{}, field: at, want: "Required value"})
	}
	if s.XListType != nil && *s.XListType != "atomic" {
		twice := append(someItems(valid, 1, s), someItems(valid, 1, s)...)
		list = append(list, breach{rule: "list type " + *s.XListType, path: path, value: twice, field: path + "[1]", want: "Duplicate value"})
	}
	return list
}

// filledByDefault says that an empty object is not empty after defaulting.
func filledByDefault(s *apiextensionsv1.JSONSchemaProps) bool {
	for _, property := range s.Properties {
		if property.Default != nil {
			return true
		}
	}
	return false
}

// someItems is a list of n items like the first of a valid list, each with keys of
// its own.
func someItems(valid any, n int, s *apiextensionsv1.JSONSchemaProps) []any {
	list := make([]any, n)
	model := valid.([]any)[0]
	for i := range list {
		switch item := model.(type) {
		case map[string]any:
			item = maps.Clone(item)
			for _, key := range s.XListMapKeys {
				item[key] = numbered(item[key].(string), i)
			}
			list[i] = item
		case string:
			list[i] = numbered(item, i)
		}
	}
	return list
}

// numbered makes a valid value unique. The number stands at the beginning, where
// an address takes one too.
func numbered(value string, i int) string {
	if i == 0 {
		return value
	}
	return fmt.Sprintf("a%d-%s", i, value)
}

func someProperties(n int) map[string]any {
	m := map[string]any{}
	for i := range n {
		m[fmt.Sprintf("key%d", i)] = "value"
	}
	return m
}

func enumValues(s *apiextensionsv1.JSONSchemaProps) string {
	var values []string
	for _, v := range s.Enum {
		values = append(values, string(v.Raw))
	}
	return strings.Join(values, ", ")
}

// typeName is the type as the API server prints it.
func typeName(s *apiextensionsv1.JSONSchemaProps) string {
	if s.Type == "string" && s.Format != "" {
		return s.Format
	}
	return s.Type
}

func wrongType(s *apiextensionsv1.JSONSchemaProps) any {
	if s.Type == "string" {
		return int64(7)
	}
	return "text"
}

// causesOf lists what a refusal says, field by field.
func causesOf(t *testing.T, err error) []string {
	t.Helper()
	var status *apierrors.StatusError
	if !errors.As(err, &status) {
		t.Fatalf("got %v, want a refusal by the API server", err)
	}
	if status.ErrStatus.Details == nil {
		return []string{status.ErrStatus.Message}
	}
	var list []string
	for _, cause := range status.ErrStatus.Details.Causes {
		list = append(list, cause.Field+": "+cause.Message)
	}
	return list
}

// wantRefusal checks that the API server refused, named the field and said what
// to do.
func wantRefusal(t *testing.T, err error, field, message string) {
	t.Helper()
	if err == nil {
		t.Fatalf("it was accepted; want a refusal of %s: %s", field, message)
	}
	causes := causesOf(t, err)
	found := slices.ContainsFunc(causes, func(cause string) bool {
		return strings.HasPrefix(cause, field+": ") && strings.Contains(cause, message)
	})
	if !found {
		t.Errorf("got\n\t%s\nwant %s: … %s", strings.Join(causes, "\n\t"), field, message)
	}
}

// TestBounds breaks every OpenAPI rule of the resources in an object that is
// valid otherwise, and expects the API server to name the field and the bound.
func TestBounds(t *testing.T) {
	s := start(t)
	objects := fullObjects(t)
	broken := 0
	for kind, schema := range schemas(t) {
		walk("", schema, func(path string, field *apiextensionsv1.JSONSchemaProps) {
			name, base := objectHaving(objects, kind, firstItem(path))
			if base == nil {
				t.Errorf("no object of testdata/full has the field %s.%s", kind, path)
				return
			}
			valid, _ := valueAt(base, firstItem(path))
			for _, b := range breaches(firstItem(path), field, valid) {
				if b.path == "" || b.path == "spec" && b.rule == "type" || b.path == "status" && b.rule == "type" {
					continue // the API machinery refuses these before the schema is asked
				}
				broken++
				t.Run(fmt.Sprintf("%s %s %s", name, path, b.rule), func(t *testing.T) {
					try := tryOut
					if strings.HasPrefix(b.path, "status") {
						try = tryOutStatus
					}
					wantRefusal(t, try(t, s, withValue(base, b.path, b.value)), b.field, b.want)
				})
			}
		})
	}
	if broken < 200 {
		t.Errorf("only %d rules were broken: the walk misses some", broken)
	}
}

// objectHaving finds a full object of a kind with a field.
func objectHaving(objects map[string]*unstructured.Unstructured, kind, path string) (string, *unstructured.Unstructured) {
	for _, name := range slices.Sorted(maps.Keys(objects)) {
		if objects[name].GetKind() != kind {
			continue
		}
		if _, ok := valueAt(objects[name], path); ok {
			return name, objects[name]
		}
	}
	return "", nil
}

// tryOut asks the API server whether it would take a new object. It stores none.
func tryOut(t *testing.T, s *server, object *unstructured.Unstructured) error {
	t.Helper()
	tried := object.DeepCopy()
	tried.SetNamespace(s.Namespace)
	return s.Client.Create(t.Context(), tried, client.DryRunAll)
}

// tryOutStatus asks the API server whether an object could get a status. The
// object is stored, the status is not.
func tryOutStatus(t *testing.T, s *server, object *unstructured.Unstructured) error {
	t.Helper()
	stored := object.DeepCopy()
	stored.SetNamespace(s.Namespace)
	if err := s.Client.Create(t.Context(), stored); client.IgnoreAlreadyExists(err) != nil {
		t.Fatalf("creating the object that is to get a status: %v", err)
	}
	if err := s.Client.Get(t.Context(), client.ObjectKeyFromObject(stored), stored); err != nil {
		t.Fatal(err)
	}
	stored.Object["status"] = object.Object["status"]
	return s.Client.Status().Update(t.Context(), stored, client.DryRunAll)
}
