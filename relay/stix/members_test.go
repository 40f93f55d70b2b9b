// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stix

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func membersOf(raw []byte) map[string]string {
	all := map[string]string{}
	Members(raw, func(name, value []byte) bool {
		all[string(name)] = string(value)
		return true
	})
	return all
}

func TestMembers(t *testing.T) {
	raw := ` { "a":"x\"y" , "b" :[1,{"c":"]}"}], "\u0063":{"d":[]},"e": -1.5e3 ,"f":null}`
	want := map[string]string{"a": `"x\"y"`, "b": `[1,{"c":"]}"}]`, "c": `{"d":[]}`, "e": "-1.5e3", "f": "null"}
	if diff := cmp.Diff(want, membersOf([]byte(raw))); diff != "" {
		t.Error(diff)
	}
	first := ""
	Members([]byte(raw), func(name, _ []byte) bool { first += string(name); return false })
	if first != "a" {
		t.Errorf("went on behind the first: %q", first)
	}
	if got := Strings([]byte(`["a",1,"b\u0063",["d"]]`)); !cmp.Equal(got, []string{"a", "bc"}) {
		t.Errorf("strings are %q", got)
	}
}

// FuzzMembers compares with a decoder what Parse accepts, and asks no more than an
// end of everything else.
func FuzzMembers(f *testing.F) {
	f.Add([]byte(`{"type":"indicator","id":"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","a\\":"\\\"","b":[{"c":"}"}]}`))
	f.Add([]byte(`{"a":`))
	f.Add([]byte(`{"a"`))
	f.Add([]byte(`{"a":[}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got := membersOf(raw)
		if _, err := Parse(raw); err != nil {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(raw, &want); err != nil || len(want) != len(got) {
			t.Fatalf("%d members, want %d, %v", len(got), len(want), err)
		}
		for name, value := range want {
			if got[name] != string(value) {
				t.Errorf("%q is %q, want %q", name, got[name], value)
			}
		}
	})
}
