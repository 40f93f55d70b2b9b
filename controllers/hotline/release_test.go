// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"testing"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/relay/config"
	relayreport "github.com/certlink/certlink/relay/report"
)

// Nobody is to learn at 3 a.m. that every draft expires.
func TestAHotlineWithoutEnoughReleasersIsNotReady(t *testing.T) {
	quorum := int32(1)
	h := &v1alpha1.Hotline{Spec: v1alpha1.HotlineSpec{PeerRef: v1alpha1.PeerReference{Name: "bravo"}, Release: &v1alpha1.HotlineRelease{Quorum: &quorum}}}
	h.Name, h.Generation = "bravo", 1
	ready := func(officers ...v1alpha1.Officer) string {
		s := world(relayreport.Up, relayreport.Hotline{})
		s.local.Spec.Desk.Officers = officers
		s.view.Wanted = &config.Config{Peers: s.view.Wanted.Peers, Hotlines: []config.Hotline{relayconfig.Hotline(h)}}
		s.view.Live = s.view.Wanted
		edit := status.NewEditor(&h.Status.Conditions, 1, noon)
		edit.Conclude(report(h, s, edit, noon).Verdict)
		c, reachable := edit.Get(v1alpha1.ConditionReady), edit.Get(v1alpha1.ConditionReachable)
		if reachable.Reason != v1alpha1.ReasonReceiptsInTime {
			t.Errorf("Reachable is %+v", reachable)
		}
		return c.Reason
	}
	eve := v1alpha1.Officer{Name: "eve", Roles: []v1alpha1.OfficerRole{v1alpha1.RoleDraft, v1alpha1.RoleRelease}}
	rob := v1alpha1.Officer{Name: "rob", Roles: []v1alpha1.OfficerRole{v1alpha1.RoleRelease}}
	if got := ready(eve); got != v1alpha1.ReasonReleasersMissing {
		t.Errorf("with one officer Ready has the reason %s", got)
	}
	if got := ready(eve, rob); got != v1alpha1.ReasonReconciled {
		t.Errorf("with two officers Ready has the reason %s", got)
	}
}
