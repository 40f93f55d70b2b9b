// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
)

// The markings of TLP 2.0 (FIRST), as STIX knows them.
var tlpMarkings = map[string]string{
	"CLEAR":        "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
	"GREEN":        "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
	"AMBER":        "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
	"AMBER+STRICT": "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
	"RED":          "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
}

// ATTACK is the path of the real ATT&CK for ICS bundle.
func ATTACK() (string, error) {
	root, err := Repository()
	return filepath.Join(root, "test", "data", "ics-attack-18.1.json"), err
}

// Objects reads the objects of a bundle, byte for byte, by id and version.
func Objects(path string) (map[string]json.RawMessage, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a bundle: %w", err)
	}
	var bundle struct {
		Objects []json.RawMessage `json:"objects"`
	}
	if err := json.Unmarshal(content, &bundle); err != nil {
		return nil, fmt.Errorf("reading bundle %q: %w", path, err)
	}
	objects := make(map[string]json.RawMessage, len(bundle.Objects))
	for _, raw := range bundle.Objects {
		var object struct {
			ID       string `json:"id"`
			Modified string `json:"modified"`
		}
		if err := json.Unmarshal(raw, &object); err != nil {
			return nil, fmt.Errorf("reading bundle %q: %w", path, err)
		}
		objects[object.ID+" "+object.Modified] = raw
	}
	return objects, nil
}

// namespace of the ids of made objects: they are the same in each run, so that
// pushing them again adds nothing.
var namespace = uuid.MustParse("9d5b2c0e-6a57-5f0c-9a0e-3f0a1f6f1c11")

// Indicators makes n indicators marked with a TLP level, "" for none. The series
// tells them from those of other calls.
func Indicators(series, level string, n int) []json.RawMessage {
	objects := make([]json.RawMessage, 0, n)
	for i := range n {
		marking := ""
		if level != "" {
			marking = fmt.Sprintf(`"object_marking_refs":[%q],`, tlpMarkings[level])
		}
		id := uuid.NewSHA1(namespace, fmt.Appendf(nil, "%s/%s/%d", series, level, i))
		// The odd spaces show that nothing writes it anew.
		objects = append(objects, fmt.Appendf(nil,
			`{"type":"indicator", "spec_version":"2.1","id":"indicator--%s",%s"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z",  "name":"%s %s %d","pattern":"[ipv4-addr:value = '203.0.113.%d']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"}`,
			id, marking, series, strings.ToLower(level), i, i%256))
	}
	return objects
}

// Bundle puts objects into a bundle.
func Bundle(objects ...json.RawMessage) string {
	texts := make([]string, 0, len(objects))
	for _, object := range objects {
		texts = append(texts, string(object))
	}
	return `{"type":"bundle","id":"bundle--` + namespace.String() + `","objects":[` + strings.Join(texts, ",\n") + `]}`
}
