// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package message

import (
	_ "embed"
	"encoding/json"
	"slices"
	"strings"
	"sync"
)

// rsitFile is the machine-readable Reference Security Incident Taxonomy of its task
// force, version 1003.
//
//go:embed rsit/rsit-machinev1.json
var rsitFile []byte

// Class of the taxonomy with its types.
type Class struct {
	// Code is what messages carry, for example malicious-code:c2-server; Name is for people.
	Code, Name string
	// Description of a type; empty for a class.
	Description string
	Types       []Class
}

// RSIT returns the classes of the taxonomy in its order.
func RSIT() []Class { return slices.Clone(taxonomy()) }

// KnownRSIT tells whether a code is a class, or class:type, of the taxonomy.
func KnownRSIT(code string) bool {
	class, _, typed := strings.Cut(code, ":")
	for _, c := range taxonomy() {
		if c.Code != class {
			continue
		}
		return !typed || slices.ContainsFunc(c.Types, func(t Class) bool { return t.Code == code })
	}
	return false
}

var taxonomy = sync.OnceValue(func() []Class {
	var file struct {
		Predicates []struct {
			Value    string `json:"value"`
			Expanded string `json:"expanded"`
		} `json:"predicates"`
		Values []struct {
			Predicate string `json:"predicate"`
			Entry     []struct {
				Value       string `json:"value"`
				Expanded    string `json:"expanded"`
				Description string `json:"description"`
			} `json:"entry"`
		} `json:"values"`
	}
	if err := json.Unmarshal(rsitFile, &file); err != nil {
		return nil // a test reads the whole of it
	}
	var out []Class
	for _, p := range file.Predicates {
		c := Class{Code: p.Value, Name: p.Expanded}
		for _, v := range file.Values {
			if v.Predicate != p.Value {
				continue
			}
			for _, e := range v.Entry {
				c.Types = append(c.Types, Class{Code: p.Value + ":" + e.Value, Name: e.Expanded, Description: e.Description})
			}
		}
		out = append(out, c)
	}
	return out
})
