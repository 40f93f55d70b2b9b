// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package relayconfig

import (
	"cmp"
	"slices"

	"github.com/certlink/certlink/api/v1alpha1"
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
