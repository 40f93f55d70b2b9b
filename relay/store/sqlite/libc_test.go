// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// Our log file reads and writes what SQLite's C library laid out in memory, so both must
// be built with the version that modernc.org/sqlite was made with and tested against.
func TestTheCLibraryIsTheOneThatSQLiteAsksFor(t *testing.T) {
	list := func(what, module string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{."+what+"}}", module).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	name := list("GoMod", "modernc.org/sqlite")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := modfile.ParseLax(name, data, nil)
	if err != nil {
		t.Fatal(err)
	}
	ours := list("Version", "modernc.org/libc")
	for _, asked := range theirs.Require {
		if asked.Mod.Path == "modernc.org/libc" {
			if asked.Mod.Version != ours {
				t.Errorf("modernc.org/libc is %s; modernc.org/sqlite asks for %s", ours, asked.Mod.Version)
			}
			return
		}
	}
	t.Fatal("modernc.org/sqlite asks for no modernc.org/libc")
}
