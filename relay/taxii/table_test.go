// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
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
)

// clause is the beginning of the name of a test that belongs to one.
var clause = regexp.MustCompile(`^([0-9]+(\.[0-9]+)*|B)_`)

// testsOf reads the names of the tests of a directory: those of functions, and, behind
// a slash, those in them that are named by a clause.
func testsOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in %s, %v", dir, err)
	}
	found := map[string]bool{}
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range tree.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(f.Name.Name, "Test") {
				continue
			}
			found[f.Name.Name] = true
			ast.Inspect(f, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if text, err := strconv.Unquote(lit.Value); err == nil && clause.MatchString(text) && !strings.Contains(text, " ") {
						found[f.Name.Name+"/"+text] = true
					}
				}
				return true
			})
		}
	}
	return found
}

// TestTheTableOfClausesAgreesWithTheTests: each test that the table names is there, and
// each test that is named by a clause stands in the table, in the row of its clause.
func TestTheTableOfClausesAgreesWithTheTests(t *testing.T) {
	table, err := os.ReadFile("../../docs/taxii-conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	ours, others := testsOf(t, "."), map[string]map[string]bool{}
	named := map[string]bool{}
	test := regexp.MustCompile("`((?:relay|test)/[a-z]+\\.)?(Test[^` ]+)`")
	for line := range strings.Lines(string(table)) {
		cells := strings.Split(line, "|")
		for _, m := range test.FindAllStringSubmatch(line, -1) {
			dir, name := strings.TrimSuffix(m[1], "."), m[2]
			there := ours
			if dir != "" {
				if others[dir] == nil {
					others[dir] = testsOf(t, filepath.Join("../..", dir))
				}
				there = others[dir]
			}
			if !there[name] {
				t.Errorf("the table names %s, which is not there", m[0])
			}
			named[name] = named[name] || dir == ""
			_, sub, _ := strings.Cut(name, "/")
			if of := clause.FindStringSubmatch(sub); of != nil && len(cells) > 1 && !belongs(of[1], cells[1]) {
				t.Errorf("%s stands in the row of clause%s", name, cells[1])
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		if strings.Contains(name, "/") && !named[name] {
			t.Errorf("the table does not name %s", name)
		}
	}
}

// belongs tells whether a clause is, or is within or around, one of those of a row. A
// test may show more than its own clause.
func belongs(of, row string) bool {
	for one := range strings.SplitSeq(row, ",") {
		one = strings.TrimSpace(one)
		if one == of || strings.HasPrefix(of, one+".") || strings.HasPrefix(one, of+".") {
			return true
		}
	}
	return of == "5.5" && strings.Contains(row, "4.2.1") // what the length of a body may be
}
