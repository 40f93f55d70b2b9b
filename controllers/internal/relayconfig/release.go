// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/status"
	"github.com/certlink/certlink/relay/config"
)

// Desk is the part of the configuration that says who may use the desk.
func Desk(d v1alpha1.DeskSpec) config.Desk {
	out := config.Desk{SharedCertificate: string(d.SharedCertificate)}
	for _, o := range d.Officers {
		roles := make([]config.OfficerRole, len(o.Roles))
		for i, role := range o.Roles {
			roles[i] = config.OfficerRole(role)
		}
		slices.Sort(roles)
		out.Officers = append(out.Officers, config.Officer{Name: o.Name, DisplayName: o.DisplayName, Roles: roles})
	}
	slices.SortFunc(out.Officers, func(a, b config.Officer) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// release is the part of a Hotline's configuration that says what must be released.
func release(r *v1alpha1.HotlineRelease) *config.Release {
	if r == nil {
		return nil
	}
	out := &config.Release{
		Quorum: deref(r.Quorum), DrafterMayRelease: string(r.DrafterMayRelease), ExpirySeconds: deref(r.ExpirySeconds),
	}
	for _, rule := range r.Rules {
		out.Rules = append(out.Rules, config.ReleaseRule{
			Precedences: words(rule.Precedences), TLPs: words(rule.TLPs), Kinds: words(rule.Kinds),
			Quorum: deref(rule.Quorum), DrafterMayRelease: string(rule.DrafterMayRelease), ExpirySeconds: deref(rule.ExpirySeconds),
		})
	}
	return out
}

// words are sorted, so that the order of a set changes nothing.
func words[T ~string](set []T) []string {
	var out []string
	for _, word := range set {
		out = append(out, string(word))
	}
	slices.Sort(out)
	return out
}

// ReleaseFault says which rule of a Hotline no message can meet: its quorum takes more
// officers than there are, so that every draft would expire. nil if there is none. The
// hotline works all the same for what needs no release, and receives.
func ReleaseFault(h *v1alpha1.Hotline, d v1alpha1.DeskSpec) *status.Verdict {
	r := release(h.Spec.Release)
	if r == nil {
		return nil
	}
	if met(d.Officers, r.Quorum, r.DrafterMayRelease) {
		for i, rule := range r.Rules {
			if !met(d.Officers, rule.Quorum, rule.DrafterMayRelease) {
				return unmet(fmt.Sprintf("spec.release.rules[%d]", i), rule.Quorum, rule.DrafterMayRelease)
			}
		}
		return nil
	}
	return unmet("spec.release", r.Quorum, r.DrafterMayRelease)
}

func unmet(field string, quorum int32, drafter string) *status.Verdict {
	who := fmt.Sprintf("%d officers with the role Release beside the one who wrote it", quorum)
	if drafter == config.Allowed {
		who = fmt.Sprintf("%d officers with the role Release", quorum)
	}
	return stalled(v1alpha1.ReasonReleasersMissing,
		"%s: a message takes an officer with the role Draft, and its release %s; the LocalCERT's spec.desk.officers has too few, so every draft would expire: name more, or lower the quorum. What needs no release goes on", field, who)
}

// met tells whether some officer can write a message that enough officers may release.
func met(officers []v1alpha1.Officer, quorum int32, drafter string) bool {
	if quorum == 0 {
		return true
	}
	may := func(o v1alpha1.Officer, role v1alpha1.OfficerRole) bool { return slices.Contains(o.Roles, role) }
	releasers := int32(0)
	for _, o := range officers {
		if may(o, v1alpha1.RoleRelease) {
			releasers++
		}
	}
	return slices.ContainsFunc(officers, func(o v1alpha1.Officer) bool {
		others := releasers
		if drafter != config.Allowed && may(o, v1alpha1.RoleRelease) {
			others--
		}
		return may(o, v1alpha1.RoleDraft) && others >= quorum
	})
}
