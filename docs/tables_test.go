// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// heading is the first line of a table that a command of ours prints.
var heading = regexp.MustCompile(`^[A-Z][A-Z %]*( {2,}[A-Z][A-Z %]*)+$`)

// columns is a heading without the widths of its columns.
func columns(line string) string {
	return strings.Join(regexp.MustCompile(` {2,}`).Split(strings.TrimSpace(line), -1), "|")
}

// TestTablesInTheDocumentsHaveTheColumnsThatAreReallyPrinted compares with what the tests of
// the commands have on file. It knows nothing of tables that kubectl itself prints.
func TestTablesInTheDocumentsHaveTheColumnsThatAreReallyPrinted(t *testing.T) {
	printed := map[string]bool{}
	goldens, err := filepath.Glob(filepath.Join(root, "cli/testdata/*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range goldens {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); heading.MatchString(line) {
				printed[columns(line)] = true
			}
		}
	}
	found := 0
	for _, file := range files(t, ".md") {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		ours := false
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			switch {
			case strings.HasPrefix(line, "```"):
				ours = false
			case strings.HasPrefix(line, "$ "):
				ours = strings.Contains(line, ourCommand)
			case ours && heading.MatchString(line):
				if found++; !printed[columns(line)] {
					t.Errorf("%s shows a table with the columns %s, which no command prints", file, columns(line))
				}
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d tables were found", found)
	}
}
