// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/certlink/certlink/relay/message"
)

func formatPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("message-format.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestMessageExamples checks each example against the published schema, and as a relay does.
func TestMessageExamples(t *testing.T) {
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(message.Schema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("message.json", parsed); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("message.json")
	if err != nil {
		t.Fatal(err)
	}
	missing := map[message.Kind]bool{}
	for _, k := range message.Kinds {
		missing[k] = true
	}
	examples := 0
	for _, section := range strings.Split(formatPage(t), "\n### ")[1:] {
		title, rest, _ := strings.Cut(section, "\n")
		_, rest, ok := strings.Cut(rest, "```json\n")
		if !ok {
			continue
		}
		example, _, _ := strings.Cut(rest, "```")
		examples++
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(example))
		if err != nil {
			t.Fatalf("%s: %v", title, err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v", title, err)
		}
		m, err := message.Decode([]byte(example))
		if err != nil || missing[message.Kind(title)] && m.Kind != message.Kind(title) {
			t.Errorf("the example of %s is of %s, %v", title, m.Kind, err)
		}
		delete(missing, m.Kind)
	}
	if len(missing) > 0 || examples != len(message.Kinds)+1 {
		t.Errorf("of %d examples, none is of %v", examples, slices.Collect(maps.Keys(missing)))
	}
}

// part of a schema, as far as the page repeats it.
type part struct {
	Properties map[string]part `json:"properties"`
	Defs       map[string]part `json:"$defs"`
	Required   []string        `json:"required"`
	Enum       []string        `json:"enum"`
	MaxLength  int             `json:"maxLength"`
	MaxItems   int             `json:"maxItems"`
	Maximum    int64           `json:"maximum"`
	Items      *part           `json:"items"`
}

// TestEveryMemberIsDocumented finds a row for each member of the schema, with its limits.
func TestEveryMemberIsDocumented(t *testing.T) {
	var schema part
	if err := json.Unmarshal(message.Schema, &schema); err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{"": "\n## Members\n"}
	for def, title := range map[string]string{
		"release": "Entries of released_by", "translation": "Entries of translations", "attachment": "Entries of attachments",
		"reference": "Entries of references", "preserve": "preserve", "term": "term", "lineCheck": "line_check",
	} {
		sections[def] = "\n### " + title + "\n"
	}
	page := formatPage(t)
	for def, of := range schema.Defs {
		if len(of.Properties) > 0 && sections[def] == "" {
			t.Errorf("no section is about %s", def)
		}
	}
	for def, title := range sections {
		of := schema
		if def != "" {
			of = schema.Defs[def]
		}
		_, section, ok := strings.Cut(page, title)
		if !ok {
			t.Errorf("there is no section %q", title)
		}
		section, _, _ = strings.Cut(section, "\n#")
		for name, member := range of.Properties {
			rowSays(t, section, def, name, member, slices.Contains(of.Required, name))
		}
	}
}

func rowSays(t *testing.T, section, def, name string, member part, required bool) {
	t.Helper()
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 || !strings.Contains(cells[1], "`"+name+"`") {
			continue
		}
		if got := strings.TrimSpace(cells[2]) == "yes"; got != required {
			t.Errorf("%s %s: required is %v in the schema", def, name, required)
		}
		want := append([]string{}, member.Enum...)
		for _, n := range []int64{int64(member.MaxLength), int64(member.MaxItems), member.Maximum} {
			if n > 0 {
				want = append(want, strconv.FormatInt(n, 10))
			}
		}
		if member.Items != nil && member.Items.MaxLength > 0 {
			want = append(want, strconv.Itoa(member.Items.MaxLength))
		}
		for _, w := range want {
			if !strings.Contains(cells[len(cells)-2], w) {
				t.Errorf("%s %s: the row does not say %s", def, name, w)
			}
		}
		return
	}
	t.Errorf("no row is about %s %s", def, name)
}
