// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig

import (
	"strings"
	"testing"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/status"
)

func TestAQuorumThatNobodyCanReachIsNamed(t *testing.T) {
	const draft, release = v1alpha1.RoleDraft, v1alpha1.RoleRelease
	quorum := func(n int32) *int32 { return &n }
	asks := func(n int32) *v1alpha1.HotlineRelease { return &v1alpha1.HotlineRelease{Quorum: quorum(n)} }
	alone := func(n int32) *v1alpha1.HotlineRelease {
		return &v1alpha1.HotlineRelease{Quorum: quorum(n), DrafterMayRelease: v1alpha1.Allowed}
	}
	ruled := func(n int32) *v1alpha1.HotlineRelease {
		return &v1alpha1.HotlineRelease{Quorum: quorum(1), Rules: []v1alpha1.HotlineReleaseRule{{Quorum: quorum(0)}, {Quorum: quorum(n)}}}
	}
	type roles = []v1alpha1.OfficerRole
	for name, c := range map[string]struct {
		release  *v1alpha1.HotlineRelease
		officers []roles
		want     string // empty: it can be met
	}{
		"no_release_and_nobody":                {},
		"a_quorum_of_none_and_nobody":          {release: asks(0)},
		"nobody":                               {release: asks(1), want: "spec.release: "},
		"a_drafter_and_a_releaser":             {release: asks(1), officers: []roles{{draft}, {release}}},
		"only_releasers":                       {release: asks(1), officers: []roles{{release}, {release}}, want: "spec.release: "},
		"one_for_both":                         {release: asks(1), officers: []roles{{draft, release}}, want: "1 officers with the role Release beside the one who wrote it"},
		"one_for_both_who_may":                 {release: alone(1), officers: []roles{{draft, release}}},
		"two_asked_and_one_who_may":            {release: alone(2), officers: []roles{{draft, release}}, want: "2 officers with the role Release;"},
		"two_for_both":                         {release: asks(1), officers: []roles{{draft, release}, {draft, release}}},
		"two_for_both_of_whom_two_are_asked":   {release: asks(2), officers: []roles{{draft, release}, {draft, release}}, want: "beside"},
		"two_for_both_and_a_drafter":           {release: asks(2), officers: []roles{{draft, release}, {draft, release}, {draft}}},
		"a_rule_that_asks_for_more":            {release: ruled(3), officers: []roles{{draft}, {release}, {release}}, want: "spec.release.rules[1]: "},
		"a_rule_that_asks_for_what_there_are":  {release: ruled(2), officers: []roles{{draft}, {release}, {release}}},
		"the_fields_above_the_rules_are_first": {release: ruled(1), officers: []roles{{draft}}, want: "spec.release: "},
	} {
		t.Run(name, func(t *testing.T) {
			var desk v1alpha1.DeskSpec
			for _, r := range c.officers {
				desk.Officers = append(desk.Officers, v1alpha1.Officer{Name: "o", Roles: r})
			}
			fault := ReleaseFault(&v1alpha1.Hotline{Spec: v1alpha1.HotlineSpec{Release: c.release}}, desk)
			if fault == nil {
				fault = &status.Verdict{}
			}
			if (c.want == "") != (fault.Reason == "") || !strings.Contains(fault.Message, c.want) {
				t.Errorf("the fault is %+v, want %q", fault, c.want)
			}
			if c.want != "" && (fault.Reason != v1alpha1.ReasonReleasersMissing || fault.Fate != status.Stalled) {
				t.Errorf("the fault is %+v", fault)
			}
		})
	}
}
