// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/config"
)

func TestTheFirstRuleThatFitsAMessageCountsAlone(t *testing.T) {
	rules := &config.Release{Quorum: 2, DrafterMayRelease: config.Allowed, ExpirySeconds: 600, Rules: []config.ReleaseRule{
		{Precedences: []string{"FLASH"}, TLPs: []string{"CLEAR", "GREEN"}},
		{Precedences: []string{"FLASH", "IMMEDIATE"}, Quorum: 1, DrafterMayRelease: config.Allowed},
		{Kinds: []string{"DOCUMENT"}, Quorum: 3, ExpirySeconds: 60},
	}}
	for name, tc := range map[string]struct {
		rules                 *config.Release
		precedence, tlp, kind string
		want                  config.Release
	}{
		"without_rules_nothing_is_asked": {nil, "ROUTINE", "RED", "INQUIRY", config.Release{DrafterMayRelease: config.Denied, ExpirySeconds: 86400}},
		"the_fields_are_the_default":     {rules, "ROUTINE", "RED", "INQUIRY", config.Release{Quorum: 2, DrafterMayRelease: config.Allowed, ExpirySeconds: 600}},
		"all_lists_must_fit":             {rules, "FLASH", "RED", "INQUIRY", config.Release{Quorum: 1, DrafterMayRelease: config.Allowed, ExpirySeconds: 3600}},
		"a_declared_quorum_of_none":      {rules, "FLASH", "GREEN", "DOCUMENT", config.Release{DrafterMayRelease: config.Denied, ExpirySeconds: 3600}},
		"a_rule_takes_nothing_over":      {rules, "ROUTINE", "RED", "DOCUMENT", config.Release{Quorum: 3, DrafterMayRelease: config.Denied, ExpirySeconds: 60}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.rules.For(tc.precedence, tc.tlp, tc.kind)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
