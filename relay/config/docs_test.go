// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/config"
)

const page = "../../docs/relay-config.md"

func TestTheExampleOfTheReferenceIsAcceptedAndComplete(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(text)
	if example == nil {
		t.Fatal("there is no example")
	}
	c, err := config.Decode(example[1])
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]bool{}
	fields(reflect.ValueOf(*c), "", func(path string, v reflect.Value) { set[path] = set[path] || !v.IsZero() })
	for path, ok := range set {
		if !ok && path != "peers[].endpoints[].priority" && path != "store.postgres" { // its default is zero; a relay has one store
			t.Errorf("the example does not set %s", path)
		}
	}
}

func TestTheReferenceNamesEveryField(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	full := config.Config{
		Store:    config.Store{Postgres: &config.Postgres{}},
		Desk:     config.Desk{Officers: []config.Officer{{}}},
		Peers:    []config.Peer{{Endpoints: []config.Endpoint{{}}}},
		Exports:  []config.Export{{Sources: []config.Source{{}}}},
		Imports:  []config.Import{{}},
		Hotlines: []config.Hotline{{Deadlines: []config.Deadline{{}}}},

		ServiceExports: []config.ServiceExport{{}},
		ServiceImports: []config.ServiceImport{{}},
	}
	fields(reflect.ValueOf(full), "", func(path string, _ reflect.Value) {
		for _, pair := range []string{"identity.link.", "identity.local.", "identity.signing."} {
			path = strings.Replace(path, pair, "….", 1)
		}
		if path != "apiVersion" && path != "kind" && !strings.Contains(string(text), "`"+path+"`") {
			t.Errorf("the page does not name `%s`", path)
		}
	})
}

// fields visits every field that is no struct, with its path as the page has it.
func fields(v reflect.Value, path string, visit func(string, reflect.Value)) {
	switch {
	case v.Kind() == reflect.Struct:
		for i, field := range reflect.VisibleFields(v.Type()) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if path != "" {
				name = path + "." + name
			}
			fields(v.Field(i), name, visit)
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		for i := range v.Len() {
			fields(v.Index(i), path+"[]", visit)
		}
	default:
		visit(path, v)
	}
}
