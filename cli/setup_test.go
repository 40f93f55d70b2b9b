// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

var update = flag.Bool("update", false, "write the golden files")

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// streams are what a command read and wrote.
type streams struct{ in, out, errOut *bytes.Buffer }

func setup(t *testing.T) (*options, streams) {
	t.Helper()
	io, in, out, errOut := genericiooptions.NewTestIOStreams()
	o := &options{IOStreams: io, kube: genericclioptions.NewConfigFlags(true), now: func() time.Time { return noon }}
	return o, streams{in, out, errOut}
}

// golden compares with testdata/NAME; -update writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// expect checks an error's words; want "" is no error.
func expect(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("got error %v", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("got error %v, want one with %q", err, want)
	}
}
