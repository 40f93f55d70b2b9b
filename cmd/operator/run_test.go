// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFlags(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "certlink-system")
	t.Run("namespaces_are_a_list", func(t *testing.T) {
		s, err := parse([]string{"--relay-image=r", "--watch-namespaces= alfa ,bravo,"}, &bytes.Buffer{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"alfa", "bravo"}, s.watchNamespaces); diff != "" {
			t.Error(diff)
		}
		if s.operatorNamespace != "certlink-system" {
			t.Errorf("operator namespace is %q, want that of the pod", s.operatorNamespace)
		}
	})
	t.Run("all_faults_are_named_at_once", func(t *testing.T) {
		_, err := parse([]string{"--watch-namespaces=Not_One"}, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), "--relay-image") || !strings.Contains(err.Error(), "Not_One") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("arguments_are_refused", func(t *testing.T) {
		if _, err := parse([]string{"--relay-image=r", "extra"}, &bytes.Buffer{}); err == nil {
			t.Error("an argument was accepted")
		}
	})
	t.Run("the_version_needs_no_other_flag", func(t *testing.T) {
		var out bytes.Buffer
		if err := run(t.Context(), []string{"--version"}, &out); err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(out.String()) != version {
			t.Errorf("printed %q", out.String())
		}
	})
}
