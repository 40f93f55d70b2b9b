// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package docs_test keeps the documents true to the tree: links lead somewhere,
// and the map in CONTRIBUTING.md shows every package.
package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = ".."

var (
	link   = regexp.MustCompile(`\]\(([^)#\s]+)(#[^)]*)?\)`)
	quoted = regexp.MustCompile("`([a-z0-9/-]+)`")
)

func TestLinksLeadSomewhere(t *testing.T) {
	for _, file := range files(t, ".md") {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range link.FindAllStringSubmatch(string(text), -1) {
			target := match[1]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(file), target)); err != nil {
				t.Errorf("%s links to %s, which is not there", file, target)
			}
		}
	}
}

func TestMapShowsEveryPackage(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		for _, match := range quoted.FindAllStringSubmatch(line, -1) {
			shown[match[1]] = true
		}
	}
	for _, file := range files(t, ".go") {
		folder := filepath.ToSlash(filepath.Dir(file))
		covered := false
		// A folder stands for what lies in it, except where the house has rooms of its own.
		for at := folder; at != "."; at = filepath.ToSlash(filepath.Dir(at)) {
			if shown[at] {
				covered = at == folder || !rooms[at]
				break
			}
		}
		if !covered {
			t.Errorf("the map in CONTRIBUTING.md does not show %s", folder)
		}
	}
}

// rooms are folders on the map whose packages are on it one by one.
var rooms = map[string]bool{"controllers": true, "relay": true, "internal": true, "cmd": true, "test": true}

func files(t *testing.T, suffix string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "bin" || name == "testdata") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(name, suffix) {
			relative, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			found = append(found, relative)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestNoPageHasAHeadingTwice: the second one has no anchor of its own, and mostly says again what
// the first one says, until one of them is changed. The changelog has the same ones for each release.
func TestNoPageHasAHeadingTwice(t *testing.T) {
	for _, file := range files(t, ".md") {
		if file == "CHANGELOG.md" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		seen, block := map[string]bool{}, false
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "```") {
				block = !block
			}
			if block || !strings.HasPrefix(line, "#") {
				continue
			}
			if seen[line] {
				t.Errorf("%s has the heading %q twice", file, strings.TrimSpace(line))
			}
			seen[line] = true
		}
	}
}
