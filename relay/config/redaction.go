// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

import (
	"regexp"

	"github.com/certlink/certlink/relay/stix"
)

// Redaction strips what names victims from objects on their way out.
type Redaction struct {
	// Properties are the names of top-level properties that are left out. Those that
	// STIX requires of an object cannot be named. At most 64.
	Properties []string `json:"properties,omitempty"`
	// VictimIdentities is Keep (default) or Strip: identities that are targets of
	// relationships or named by sightings leave without what tells who they are.
	VictimIdentities string `json:"victimIdentities,omitempty"`
}

// Values of Rule.WarningLists and Redaction.VictimIdentities.
const (
	WarningListsHold   = "Hold"
	WarningListsIgnore = "Ignore"
	VictimsKeep        = "Keep"
	VictimsStrip       = "Strip"
)

// maxProperties and maxIdentities are those of one export and of one peer.
const (
	maxProperties = 64
	maxIdentities = 256
)

// property is the name of a STIX property (STIX 2.1 section 3.1), or of a custom one.
var property = regexp.MustCompile(`^[A-Za-z0-9_-]{1,250}$`)

// required are properties without which some type of object is none (STIX 2.1
// sections 3.2, 4 to 7), and those that say how an object may be handled.
var required = map[string]bool{
	"type": true, "id": true, "spec_version": true, "created": true, "modified": true, "revoked": true,
	"object_marking_refs": true, "granular_markings": true, "extensions": true,
	"name": true, "pattern": true, "pattern_type": true, "valid_from": true, "relationship_type": true,
	"source_ref": true, "target_ref": true, "sighting_of_ref": true, "object_refs": true, "published": true,
	"context": true, "content": true, "opinion": true, "product": true, "is_family": true,
	"first_observed": true, "last_observed": true, "number_observed": true, "objects": true,
	"value": true, "number": true, "path": true, "protocols": true, "key": true, "is_multipart": true,
	"object_ref": true, "contents": true, "schema": true, "version": true, "extension_types": true,
	"definition": true, "definition_type": true,
}

func (r Redaction) validate(f faults) {
	checkCount(f.in("properties"), len(r.Properties), maxProperties)
	names := newSet("property")
	for i, name := range r.Properties {
		at := f.in("properties").at(i)
		names.add(at, name)
		switch {
		case !property.MatchString(name):
			at.add("%q is no name of a property: letters, digits, '_' and '-', 1 to 250 characters", clip(name))
		case required[name]:
			at.add("%q cannot be left out: STIX requires it of some objects, or it says how they may be handled", name)
		}
	}
	if r.VictimIdentities != "" {
		checkOneOf(f.in("victimIdentities"), r.VictimIdentities, VictimsKeep, VictimsStrip)
	}
}

// validateMore checks what a rule says beside markings, types and expression.
func (r Rule) validateMore(f faults) {
	checkRange(f.in("minConfidence"), r.MinConfidence, 0, 100)
	checkRange(f.in("maxAgeDays"), r.MaxAgeDays, 0, 36_500)
	checkRange(f.in("minAgreement"), r.MinAgreement, 0, 8)
	if r.EmanatesFrom != FromAnywhere {
		checkOneOf(f.in("emanatesFrom"), r.EmanatesFrom, FromPeer)
	}
	if r.WarningLists != "" {
		checkOneOf(f.in("warningLists"), r.WarningLists, WarningListsHold, WarningListsIgnore)
	}
	if r.EmanatesFrom == FromAnywhere && (r.MinAgreement > 1 || r.WarningLists == WarningListsIgnore) {
		f.add("minAgreement and warningLists say nothing without emanatesFrom: set emanatesFrom to Peer, or leave them out")
	}
}

// validateIdentities checks for whom a peer may speak.
func (p Peer) validateIdentities(f faults) {
	checkCount(f, len(p.Identities), maxIdentities)
	all := newSet("identity")
	for i, id := range p.Identities {
		at := f.at(i)
		all.add(at, id)
		if typ, ok := stix.SplitID(id); !ok || typ != "identity" {
			at.add("%q is no id of a STIX identity, such as identity--f431f809-377b-45e0-aa1c-6a4751cae5ff", clip(id))
		}
	}
}
