// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEveryMetricIsOnItsPage compares the names of metrics in the sources with docs/metrics.md.
func TestEveryMetricIsOnItsPage(t *testing.T) {
	want := map[string]bool{}
	for _, file := range files(t, ".go") {
		if strings.HasSuffix(file, "_test.go") || !strings.HasPrefix(file, "relay/") && !strings.HasPrefix(file, "controllers/") && !strings.HasPrefix(file, "cmd/") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range metricsOf(parsed) {
			want[name] = true
		}
	}
	text, err := os.ReadFile("metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, match := range regexp.MustCompile("(?m)^\\| `(certlink_[a-z_]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		got[match[1]] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-sources +page): %s", diff)
	}
}

// metricsOf are the metrics that a file makes: whole names, and those that helpers and
// options with a subsystem put together.
func metricsOf(file *ast.File) []string {
	subsystem, parts, whole := "", []string{}, []string{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if name.Name == "subsystem" {
					subsystem = text(n.Values[i])
				}
			}
		case *ast.KeyValueExpr:
			switch key, _ := n.Key.(*ast.Ident); {
			case key != nil && key.Name == "Subsystem" && text(n.Value) != "":
				subsystem = text(n.Value)
			case key != nil && key.Name == "Name":
				parts = append(parts, text(n.Value))
			}
		case *ast.CallExpr:
			if fn, ok := n.Fun.(*ast.Ident); ok && len(n.Args) >= 2 && (fn.Name == "counter" || fn.Name == "gauge" || fn.Name == "name") {
				parts = append(parts, text(n.Args[0]))
			}
		case *ast.BasicLit:
			if name := text(n); metricName.MatchString(name) {
				whole = append(whole, name)
			}
		}
		return true
	})
	for _, part := range parts {
		if subsystem != "" && part != "" && !strings.HasPrefix(part, "certlink_") {
			whole = append(whole, "certlink_relay_"+subsystem+"_"+part)
		}
	}
	return whole
}

var metricName = regexp.MustCompile(`^certlink_(relay|operator)_[a-z]+_[a-z_]+$`)

// text of a string literal; empty for anything else.
func text(e ast.Expr) string {
	literal, ok := e.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return ""
	}
	value, err := strconv.Unquote(literal.Value)
	if err != nil {
		return ""
	}
	return value
}
