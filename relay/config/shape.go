// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// checkShape compares a decoded tree with a type and reports every unknown field
// and every value of a wrong type. encoding/json would stop at the first one, and
// would take "Peers" for "peers".
func checkShape(f faults, t reflect.Type, value any) {
	if value == nil {
		return // null is an absent field
	}
	switch t.Kind() {
	case reflect.Pointer:
		checkShape(f, t.Elem(), value)
	case reflect.Struct:
		checkStruct(f, t, value)
	case reflect.Slice:
		list, ok := value.([]any)
		if !ok {
			f.add("must be a list")
			return
		}
		for i, item := range list {
			if item == nil {
				f.at(i).add("must not be empty")
				continue
			}
			checkShape(f.at(i), t.Elem(), item)
		}
	case reflect.String:
		if _, ok := value.(string); !ok {
			f.add("must be a string: put it in quotes")
		}
	default: // the integers
		number, ok := value.(json.Number)
		if !ok || json.Unmarshal([]byte(number), reflect.New(t).Interface()) != nil {
			f.add("must be a whole number of at most %d bits", t.Bits())
		}
	}
}

func checkStruct(f faults, t reflect.Type, value any) {
	object, ok := value.(map[string]any)
	if !ok {
		f.add("must be an object with fields")
		return
	}
	known := make(map[string]reflect.Type, t.NumField())
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		known[name] = field.Type
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if fieldType, ok := known[name]; ok {
			checkShape(f.in(name), fieldType, object[name])
		} else {
			f.in(name).add("unknown field; known are %s", strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
	}
}
