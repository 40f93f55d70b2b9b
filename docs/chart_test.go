// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestEveryValueOfTheChartIsInItsTable: each value of values.yaml stands in the first column
// of the table in the chart's README, as `group.value`, or as `.value` behind its group.
func TestEveryValueOfTheChartIsInItsTable(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "charts/certlink/values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(data, &values); err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(root, "charts/certlink/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for line := range strings.Lines(string(readme)) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		group := ""
		for _, match := range inline.FindAllStringSubmatch(strings.Split(line, "|")[1], -1) {
			name := match[1]
			if rest, ok := strings.CutPrefix(name, "."); ok {
				name = group + "." + rest
			}
			group, _, _ = strings.Cut(name, ".")
			shown = append(shown, name)
		}
	}
	for name, value := range values {
		inside, _ := value.(map[string]any)
		if len(inside) == 0 || name == "resources" {
			inside = map[string]any{"": nil}
		}
		for key := range inside {
			if path := strings.TrimSuffix(name+"."+key, "."); !slices.Contains(shown, path) {
				t.Errorf("the table of charts/certlink/README.md does not show the value %s", path)
			}
		}
	}
}
