// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"
)

func TestWordsOfSeveralScriptsAreMarkedWhereAMessageIsShown(t *testing.T) {
	m := received()
	m.MixedScripts = []string{"subject", "officer"}
	for name, show := range map[string]func(o *options) error{
		"list":    func(o *options) error { return o.printMessages(append(drills(), m)) },
		"message": func(o *options) error { return o.printMessage(o.Out, m) },
		"thread":  func(o *options) error { return o.printTurn(o.Out, m, false, nil) },
	} {
		o, s := setup(t)
		expect(t, show(o), "")
		if got := s.out.String(); !strings.Contains(got, "MIXED SCRIPTS") || name != "list" && !strings.Contains(got, "subject, officer") {
			t.Errorf("the %s says %q", name, got)
		}
	}
}
