// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// proof names a test as `package.Test`, perhaps with one of its cases behind a slash.
var proof = regexp.MustCompile("`([a-z0-9]+(?:/[a-z0-9]+)*)\\.((?:Test|Fuzz)[A-Za-z0-9_]+)(?:/([^`]+))?`")

// TestWhatProvesAPromiseIsThere: each test, and each case of it, that the list of proofs names.
func TestWhatProvesAPromiseIsThere(t *testing.T) {
	text, err := os.ReadFile("design/008-what-proves-what.md")
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	sources := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| promise") {
			continue
		}
		found := proof.FindAllStringSubmatch(line, -1)
		if promise, _, _ := strings.Cut(line[2:], " |"); len(found) == 0 {
			t.Errorf("nothing proves that %s", promise)
		}
		for _, f := range found {
			named++
			source, known := sources[f[1]]
			if !known {
				source = testsOf(t, f[1])
				sources[f[1]] = source
			}
			_, test, ok := strings.Cut(source, "\nfunc "+f[2]+"(")
			test, _, _ = strings.Cut(test, "\nfunc ")
			if !ok {
				t.Errorf("%s has no test %s", f[1], f[2])
			} else if f[3] != "" && !strings.Contains(test, strconv.Quote(f[3])) {
				t.Errorf("%s of %s has no case %q", f[2], f[1], f[3])
			}
		}
	}
	if named < 100 {
		t.Errorf("only %d tests are named", named)
	}
}

// testsOf is the text of all tests of a package.
func testsOf(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
