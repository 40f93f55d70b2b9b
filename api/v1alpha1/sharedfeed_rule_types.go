// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// WarningListMode says what warning lists do to evidence of territory.
// +kubebuilder:validation:Enum=Hold;Ignore
type WarningListMode string

// The modes.
const (
	WarningListsHold   WarningListMode = "Hold"
	WarningListsIgnore WarningListMode = "Ignore"
)

// VictimMode says how identities of victims leave.
// +kubebuilder:validation:Enum=Keep;Strip
type VictimMode string

// The modes.
const (
	VictimsKeep  VictimMode = "Keep"
	VictimsStrip VictimMode = "Strip"
)

// FeedRedaction strips what names victims from objects on their way out. Identifiers
// and references stay, so that the objects still fit together.
// +kubebuilder:validation:MinProperties=1
type FeedRedaction struct {
	// properties are names of top-level properties that are left out. Those that STIX
	// requires of an object cannot be named.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=250
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[A-Za-z0-9_-]+$')",message="properties must hold names of STIX properties: letters, digits, '_' and '-'"
	Properties []string `json:"properties,omitempty"`

	// victimIdentities is Keep (default) or Strip: identities that relationships name as
	// a target, or sightings as where something was seen, leave without name,
	// description, contact and the like.
	// +optional
	VictimIdentities VictimMode `json:"victimIdentities,omitempty"`
}
