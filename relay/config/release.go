// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"regexp"
	"slices"
	"strings"
)

// Desk says who may use the local port for the desk.
type Desk struct {
	// SharedCertificate is Allowed (default) or Denied: whether the client certificate
	// spiffe://TRUSTDOMAIN/desk, which names no officer, may be used.
	SharedCertificate string `json:"sharedCertificate,omitempty"`
	// Officers with a certificate of their own, spiffe://TRUSTDOMAIN/desk/NAME. A name
	// that is not here is refused, whatever certificate it shows. At most 64.
	Officers []Officer `json:"officers,omitempty"`
}

// Officer is one person of the desk.
type Officer struct {
	// Name is the last part of the SPIFFE ID: a DNS label. Unique.
	Name string `json:"name"`
	// DisplayName is the officer's name in messages, one line of at most 128 characters.
	// Default: the name.
	DisplayName string `json:"displayName,omitempty"`
	// Roles are Draft and Release. At least one.
	Roles []OfficerRole `json:"roles"`
}

// OfficerRole is what an officer may do beyond reading and acknowledging.
type OfficerRole string

// The roles of officers.
const (
	// Draft: may write messages, and send those that need no release.
	Draft OfficerRole = "Draft"
	// ReleaseRole: may release and reject drafts.
	ReleaseRole OfficerRole = "Release"
)

// May tells whether the officer has a role.
func (o Officer) May(role OfficerRole) bool { return slices.Contains(o.Roles, role) }

// Officer returns the officer of a name.
func (d Desk) Officer(name string) (Officer, bool) {
	for _, o := range d.Officers {
		if o.Name == name {
			return o, true
		}
	}
	return Officer{}, false
}

// Values of Desk.SharedCertificate and of DrafterMayRelease.
const (
	Allowed = "Allowed"
	Denied  = "Denied"
)

// Release says how many officers must release a message before it leaves. The first rule
// that fits a message counts, and without one the fields here. Line checks, the steps of
// drills and acknowledgements, which then carry no text, need no release.
type Release struct {
	// Quorum is the number of different officers that must release a message: 0 (default:
	// it leaves when it is sent) to 3.
	Quorum int32 `json:"quorum,omitempty"`
	// DrafterMayRelease is Denied (default) or Allowed: whether the release of the officer
	// who wrote the message counts.
	DrafterMayRelease string `json:"drafterMayRelease,omitempty"`
	// ExpirySeconds after which a draft that was not released expires: 60 to 604800.
	// Zero means the default: 3600 for FLASH and IMMEDIATE, else 86400.
	ExpirySeconds int32 `json:"expirySeconds,omitempty"`
	// Rules for some messages, in order. At most 16.
	Rules []ReleaseRule `json:"rules,omitempty"`
}

// ReleaseRule is for the messages that all its lists have; an empty list has all.
type ReleaseRule struct {
	// Precedences that it is for: FLASH, IMMEDIATE, PRIORITY, ROUTINE.
	Precedences []string `json:"precedences,omitempty"`
	// TLPs that it is for: CLEAR, GREEN, AMBER, AMBER+STRICT, RED.
	TLPs []string `json:"tlps,omitempty"`
	// Kinds that it is for, such as INQUIRY. At most 16.
	Kinds []string `json:"kinds,omitempty"`
	// Quorum, DrafterMayRelease and ExpirySeconds as in Release; nothing is taken over
	// from there.
	Quorum            int32  `json:"quorum,omitempty"`
	DrafterMayRelease string `json:"drafterMayRelease,omitempty"`
	ExpirySeconds     int32  `json:"expirySeconds,omitempty"`
}

// Defaults of drafts.
const (
	DefaultUrgentExpirySeconds = 3600
	DefaultExpirySeconds       = 86_400
)

// MaxQuorum is the largest number of officers that must release a message.
const MaxQuorum = 3

// Bounds of release.
const (
	maxOfficers     = 64
	maxReleaseRules = 16
)

var officerName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// For is what holds for a message: the first rule that fits. A nil Release asks for no
// release. Its Rules are empty, and all other fields are set.
func (r *Release) For(precedence, tlp, kind string) Release {
	out := Release{}
	if r != nil {
		out = *r
		has := func(list []string, value string) bool { return len(list) == 0 || slices.Contains(list, value) }
		for _, rule := range r.Rules {
			if has(rule.Precedences, precedence) && has(rule.TLPs, tlp) && has(rule.Kinds, kind) {
				out = Release{Quorum: rule.Quorum, DrafterMayRelease: rule.DrafterMayRelease, ExpirySeconds: rule.ExpirySeconds}
				break
			}
		}
	}
	out.Rules = nil
	fill(&out.DrafterMayRelease, Denied)
	expiry := int32(DefaultExpirySeconds)
	if precedence == "FLASH" || precedence == "IMMEDIATE" {
		expiry = DefaultUrgentExpirySeconds
	}
	fill(&out.ExpirySeconds, expiry)
	return out
}

func (d *Desk) setDefaults() {
	fill(&d.SharedCertificate, Allowed)
	for i := range d.Officers {
		fill(&d.Officers[i].DisplayName, d.Officers[i].Name)
	}
}

func (r *Release) setDefaults() {
	if r == nil {
		return
	}
	fill(&r.DrafterMayRelease, Denied)
	for i := range r.Rules {
		fill(&r.Rules[i].DrafterMayRelease, Denied)
	}
}

func (d Desk) validate(f faults) {
	checkOneOf(f.in("sharedCertificate"), d.SharedCertificate, Allowed, Denied)
	officers := f.in("officers")
	checkCount(officers, len(d.Officers), maxOfficers)
	names := newSet("officer")
	for i, o := range d.Officers {
		at := officers.at(i)
		names.add(at.in("name"), o.Name)
		if !officerName.MatchString(o.Name) {
			at.in("name").add("%q must be lower-case letters, digits and '-', at most 63 characters", clip(o.Name))
		}
		checkText(at.in("displayName"), o.DisplayName, 128)
		if strings.ContainsAny(o.DisplayName, "\u2028\u2029") {
			at.in("displayName").add("must be one line")
		}
		if len(o.Roles) == 0 {
			at.in("roles").add("must name Draft, Release or both")
		}
		roles := newSet("role")
		for j, role := range o.Roles {
			checkOneOf(at.in("roles").at(j), role, Draft, ReleaseRole)
			roles.add(at.in("roles").at(j), string(role))
		}
	}
}

func (r *Release) validate(f faults) {
	if r == nil {
		return
	}
	validateRelease(f, r.Quorum, r.DrafterMayRelease, r.ExpirySeconds)
	rules := f.in("rules")
	checkCount(rules, len(r.Rules), maxReleaseRules)
	for i, rule := range r.Rules {
		at := rules.at(i)
		validateRelease(at, rule.Quorum, rule.DrafterMayRelease, rule.ExpirySeconds)
		checkEach(at.in("precedences"), rule.Precedences, "FLASH", "IMMEDIATE", "PRIORITY", "ROUTINE")
		checkEach(at.in("tlps"), rule.TLPs, "CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED")
		checkCount(at.in("kinds"), len(rule.Kinds), 16)
		kinds := newSet("kind")
		for j, kind := range rule.Kinds {
			kinds.add(at.in("kinds").at(j), kind)
			if !messageKind.MatchString(kind) {
				at.in("kinds").at(j).add("%q is no kind of message, such as INQUIRY", clip(kind))
			}
		}
	}
}

var messageKind = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,31}$`)

func validateRelease(f faults, quorum int32, drafter string, expiry int32) {
	if quorum < 0 || quorum > MaxQuorum {
		f.in("quorum").add("%d must be within 0 to %d", quorum, MaxQuorum)
	}
	checkOneOf(f.in("drafterMayRelease"), drafter, Allowed, Denied)
	if expiry != 0 {
		checkRange(f.in("expirySeconds"), expiry, 60, 604_800)
	}
}

// checkEach checks a list of few words.
func checkEach(f faults, list []string, known ...string) {
	words := newSet("value")
	for i, word := range list {
		checkOneOf(f.at(i), word, known...)
		words.add(f.at(i), word)
	}
}
