// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// pages are the documentation's pages, one for each kind.
var pages = map[string]string{
	"LocalCERT":     repository + "/docs/localcert.md",
	"PeerCERT":      repository + "/docs/peercert.md",
	"SharedFeed":    repository + "/docs/sharedfeed.md",
	"SharedService": repository + "/docs/sharedservice.md",
	"Hotline":       repository + "/docs/hotline.md",
}

// conditionsOf are the condition types that each kind has.
var conditionsOf = map[string][]string{
	"LocalCERT":     {"Ready", "CertificatesIssued", "RelayAvailable", "TrustInSync", "TerritoryCurrent", "Reconciling", "Stalled"},
	"PeerCERT":      {"Ready", "Connected", "Redundant", "PeerAccepted", "TrustInSync", "Suspended", "Reconciling", "Stalled"},
	"SharedFeed":    {"Ready", "PeerAccepted", "Fresh", "Delivering", "Quarantined", "Reconciling", "Stalled"},
	"SharedService": {"Ready", "PeerAccepted", "Available", "Reconciling", "Stalled"},
	"Hotline":       {"Ready", "Reachable", "Answered", "LineChecked", "Escalating", "JournalDoubtful", "Reconciling", "Stalled"},
}

// The four parts of a page, in their order.
var partNames = []string{"Example", "Writing a spec", "Working with it", "Status"}

// parts splits a page at its headings of the second level.
func parts(t *testing.T, kind string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(pages[kind])
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	var order []string
	for _, part := range strings.Split("\n"+string(text), "\n## ")[1:] {
		name, body, _ := strings.Cut(part, "\n")
		order = append(order, name)
		found[name] = body
	}
	if !slices.Equal(order, partNames) {
		t.Fatalf("%s has the parts %q, want %q", pages[kind], order, partNames)
	}
	return found
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestDocumentedExamples applies every YAML block of every page.
func TestDocumentedExamples(t *testing.T) {
	for _, kind := range slices.Sorted(maps.Keys(pages)) {
		t.Run(kind, func(t *testing.T) {
			s := start(t)
			text, err := os.ReadFile(pages[kind])
			if err != nil {
				t.Fatal(err)
			}
			ours := 0
			for i, block := range yamlBlock.FindAllSubmatch(text, -1) {
				for document := range strings.SplitSeq(string(block[1]), "\n---\n") {
					object := parseObject(t, fmt.Sprintf("example %d of %s", i+1, pages[kind]), []byte(document))
					if object.GetKind() == kind {
						ours++
					}
					appliesCleanly(t, s, object)
				}
			}
			if ours == 0 {
				t.Errorf("%s has no example of %s", pages[kind], kind)
			}
		})
	}
}

// TestEveryFieldIsDocumented finds a row of a table for each field: those of the
// spec with their limits and defaults, and those of the status.
func TestEveryFieldIsDocumented(t *testing.T) {
	for kind, schema := range schemas(t) {
		page := parts(t, kind)
		walk("", schema, func(path string, field *apiextensionsv1.JSONSchemaProps) {
			if len(field.Properties) > 0 && !slices.Contains(foreign, path) || strings.HasSuffix(path, "[]") || strings.Contains(path, "conditions[]") {
				return // its fields are documented, or its list is
			}
			part := "Writing a spec"
			if strings.HasPrefix(path, "status") {
				part = "Status"
			}
			row := rowOf(page[part], path)
			if row == "" {
				t.Errorf("%s, %q: no row of a table begins with `%s`", pages[kind], part, path)
				return
			}
			if part == "Writing a spec" {
				limitsIn(t, pages[kind], path, row, field)
			}
		})
	}
}

// rowOf finds the row of a table about a field.
func rowOf(part, path string) string {
	for line := range strings.Lines(part) {
		if strings.HasPrefix(line, "| `"+path+"`") {
			return line
		}
	}
	return ""
}

// limitsIn checks that a row says what the schema says.
func limitsIn(t *testing.T, page, path, row string, field *apiextensionsv1.JSONSchemaProps) {
	t.Helper()
	var want []string
	for _, limit := range []*int64{field.MaxLength, field.MaxItems, field.MaxProperties} {
		if limit != nil {
			want = append(want, strconv.FormatInt(*limit, 10))
		}
	}
	for _, limit := range []*float64{field.Minimum, field.Maximum} {
		if limit != nil {
			want = append(want, strconv.FormatInt(int64(*limit), 10))
		}
	}
	for _, value := range field.Enum {
		want = append(want, strings.Trim(string(value.Raw), `"`))
	}
	if field.Default != nil {
		want = append(want, "default "+strings.Trim(string(field.Default.Raw), `"`))
	}
	plain := strings.ReplaceAll(row, "`", "")
	for _, value := range want {
		if !strings.Contains(plain, value) {
			t.Errorf("%s: the row of %s does not say %q: %s", page, path, value, row)
		}
	}
}

// constants are the string constants of api/v1alpha1 whose names begin with a word, by
// their values: conditions stand in conditions.go, reasons in files of their own.
func constants(t *testing.T, prefix string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, pattern := range []string{"conditions.go", "reasons*.go"} {
		files, err := filepath.Glob(filepath.Join(repository, "api/v1alpha1", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, prefix) {
					found[literal(t, spec)] = true
				}
				return true
			})
		}
	}
	if len(found) == 0 {
		t.Fatalf("api/v1alpha1 has no constant %s…", prefix)
	}
	return found
}

// literal is the value of a string constant.
func literal(t *testing.T, spec *ast.ValueSpec) string {
	t.Helper()
	text, ok := spec.Values[0].(*ast.BasicLit)
	if !ok {
		t.Fatalf("%s is no literal", spec.Names[0].Name)
	}
	value, err := strconv.Unquote(text.Value)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// reasonRow is a row of a table of conditions: condition, status, reason, what to do.
var reasonRow = regexp.MustCompile("(?m)^\\| `([A-Za-z]+)` \\| (True|False|Unknown|any) \\| `([A-Za-z]+)` \\| .*\\S.* \\|$")

// TestEveryReasonIsDocumented: each reason stands on a page with what to do, no
// page has a reason or a condition that does not exist, and each page has its
// kind's conditions.
func TestEveryReasonIsDocumented(t *testing.T) {
	reasons, conditions := constants(t, "Reason"), constants(t, "Condition")
	documented := map[string]bool{}
	for kind, page := range pages {
		text := parts(t, kind)["Working with it"]
		has := map[string]bool{}
		for _, row := range reasonRow.FindAllStringSubmatch(text, -1) {
			condition, reason := row[1], row[3]
			has[condition], documented[reason] = true, true
			if !conditions[condition] || !slices.Contains(conditionsOf[kind], condition) {
				t.Errorf("%s: %s has no condition %s", page, kind, condition)
			}
			if !reasons[reason] {
				t.Errorf("%s: there is no reason %s", page, reason)
			}
		}
		status := parts(t, kind)["Status"]
		for _, condition := range conditionsOf[kind] {
			if !strings.Contains(status, "| `"+condition+"` |") {
				t.Errorf("%s: the part Status does not explain the condition %s", page, condition)
			}
			if !has[condition] && condition != "Reconciling" && condition != "Stalled" {
				t.Errorf("%s: no reason of %s is explained", page, condition)
			}
		}
	}
	for reason := range reasons {
		if !documented[reason] {
			t.Errorf("no page explains the reason %s", reason)
		}
	}
	for condition := range conditions {
		if !slices.ContainsFunc(slices.Collect(maps.Values(conditionsOf)), func(list []string) bool { return slices.Contains(list, condition) }) {
			t.Errorf("no kind has the condition %s", condition)
		}
	}
}

// TestLinks: a page links only to files that exist.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(repository + "/docs/" + match[1]); err != nil {
				t.Errorf("%s links to %s: %v", page, match[1], err)
			}
		}
	}
}
