// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package config

// Redaction strips what names victims from objects on their way out.
type Redaction struct {
	// Properties are the names of top-level properties that are left out. Those that
	// STIX requires of an object cannot be named. At most 64.
	Properties []string `json:"properties,omitempty"`
	// VictimIdentities is Keep (default) or Strip: identities that are targets of
	// relationships or named by sightings leave without what tells who they are.
	VictimIdentities string `json:"victimIdentities,omitempty"`
}
