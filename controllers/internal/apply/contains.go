// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"encoding/json"
	"reflect"
)

// contains tells whether live holds everything that desired asks for: maps hold
// at least the desired keys; lists of named things (containers, ports, volumes)
// hold at least the desired names; other lists are equal in length, element by
// element.
func contains(live, desired any) bool {
	switch want := desired.(type) {
	case map[string]any:
		have, ok := live.(map[string]any)
		if !ok {
			return false
		}
		for key, value := range want {
			if got, there := have[key]; !there || !contains(got, value) {
				return false
			}
		}
		return true
	case []any:
		have, ok := live.([]any)
		return ok && containsList(have, want)
	case nil:
		return live == nil
	default:
		return same(live, desired)
	}
}

func containsList(live, desired []any) bool {
	if names, ok := byName(live); ok {
		for _, value := range desired {
			name, named := nameOf(value)
			if !named || !contains(names[name], value) {
				return false
			}
		}
		return true
	}
	if len(live) != len(desired) {
		return false
	}
	for i := range desired {
		if !contains(live[i], desired[i]) {
			return false
		}
	}
	return true
}

// byName indexes a list of named things; false if it is not one.
func byName(list []any) (map[string]any, bool) {
	names := make(map[string]any, len(list))
	for _, element := range list {
		name, ok := nameOf(element)
		if !ok {
			return nil, false
		}
		names[name] = element
	}
	return names, len(names) == len(list) && len(list) > 0
}

func nameOf(element any) (string, bool) {
	m, ok := element.(map[string]any)
	if !ok {
		return "", false
	}
	name, ok := m["name"].(string)
	return name, ok
}

// same compares scalars. Numbers from typed objects and from JSON differ in
// their Go type only.
func same(a, b any) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	x, err := json.Marshal(a)
	if err != nil {
		return false
	}
	y, err := json.Marshal(b)
	return err == nil && string(x) == string(y)
}
