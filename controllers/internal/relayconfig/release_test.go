// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/relay/config"
)

func TestARuleOfReleaseReachesTheRelayWhole(t *testing.T) {
	one, two, expiry := int32(1), int32(2), int32(600)
	h := &v1alpha1.Hotline{Spec: v1alpha1.HotlineSpec{Release: &v1alpha1.HotlineRelease{
		Quorum: &two, DrafterMayRelease: v1alpha1.Denied, ExpirySeconds: &expiry,
		Rules: []v1alpha1.HotlineReleaseRule{{
			Precedences: []v1alpha1.Precedence{"IMMEDIATE", "FLASH"}, TLPs: []v1alpha1.TLPLevel{"RED"}, Kinds: []string{"INQUIRY"},
			Quorum: &one, DrafterMayRelease: v1alpha1.Allowed, ExpirySeconds: &expiry,
		}},
	}}}
	want := &config.Release{Quorum: 2, DrafterMayRelease: "Denied", ExpirySeconds: 600, Rules: []config.ReleaseRule{{
		Precedences: []string{"FLASH", "IMMEDIATE"}, TLPs: []string{"RED"}, Kinds: []string{"INQUIRY"},
		Quorum: 1, DrafterMayRelease: "Allowed", ExpirySeconds: 600,
	}}}
	if diff := cmp.Diff(want, Hotline(h).Release); diff != "" {
		t.Error(diff)
	}
	if faults := check(config.Config{Hotlines: []config.Hotline{{Name: "b", Peer: "b", Release: want}}}); len(faults) > 0 {
		t.Error(faults)
	}
	if got := Hotline(&v1alpha1.Hotline{}).Release; got != nil {
		t.Errorf("a hotline without rules has %+v", got)
	}
}
