// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Permission says whether something may be done.
// +kubebuilder:validation:Enum=Allowed;Denied
type Permission string

// The permissions.
const (
	Allowed Permission = "Allowed"
	Denied  Permission = "Denied"
)

// HotlineRelease says how many officers of our desk must release a message before it
// leaves. The first rule that fits a message counts alone; where none does, the fields
// here. Line checks, the steps of drills and acknowledgements, which then carry no text,
// need no release.
// +kubebuilder:validation:MinProperties=1
type HotlineRelease struct {
	// quorum is the number of different officers that must release a message for which no
	// rule is. 0 to 3; default 0: it leaves when it is sent.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3
	Quorum *int32 `json:"quorum,omitempty"`

	// drafterMayRelease is Denied (default: another officer than the one who wrote the
	// message must release it) or Allowed.
	// +optional
	DrafterMayRelease Permission `json:"drafterMayRelease,omitempty"`

	// expirySeconds after which a draft that was not released expires. 60 to 604800;
	// default 3600 for FLASH and IMMEDIATE, else 86400.
	// +optional
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=604800
	ExpirySeconds *int32 `json:"expirySeconds,omitempty"`

	// rules for some messages, in order. At most 16.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Rules []HotlineReleaseRule `json:"rules,omitempty"`
}

// HotlineReleaseRule is for the messages that all its lists have; an absent list has all.
type HotlineReleaseRule struct {
	// precedences that the rule is for.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	Precedences []Precedence `json:"precedences,omitempty"`

	// tlps are the levels of TLP 2.0 that the rule is for.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=5
	TLPs []TLPLevel `json:"tlps,omitempty"`

	// kinds of message that the rule is for, such as INQUIRY.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=32
	// +kubebuilder:validation:items:Pattern=`^[A-Z][A-Z0-9_]{0,31}$`
	Kinds []string `json:"kinds,omitempty"`

	// quorum of these messages, as in release. 0 to 3. 0 lets one officer send them alone:
	// it is declared here, and never follows from anything else.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3
	Quorum *int32 `json:"quorum,omitempty"`

	// drafterMayRelease of these messages: Denied (default) or Allowed.
	// +optional
	DrafterMayRelease Permission `json:"drafterMayRelease,omitempty"`

	// expirySeconds of these messages. 60 to 604800; default as in release.
	// +optional
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=604800
	ExpirySeconds *int32 `json:"expirySeconds,omitempty"`
}

// OfficerRole is what an officer may do beyond reading and acknowledging.
// +kubebuilder:validation:Enum=Draft;Release
type OfficerRole string

// The roles of officers.
const (
	// RoleDraft writes messages, and sends those that need no release.
	RoleDraft OfficerRole = "Draft"
	// RoleRelease releases and rejects drafts.
	RoleRelease OfficerRole = "Release"
)

// DeskSpec says who may use our desk.
// +kubebuilder:validation:MinProperties=1
type DeskSpec struct {
	// sharedCertificate is Allowed (default) or Denied: whether the client certificate in
	// status.deskSecretName, which names no officer, is issued and may be used. It can
	// neither draft nor release what needs a release. Denied deletes it and its key.
	// +optional
	SharedCertificate Permission `json:"sharedCertificate,omitempty"`

	// officers with a certificate of their own. One that is removed here loses access at
	// once. At most 64.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Officers []Officer `json:"officers,omitempty"`
}

// Officer is one person of the desk. The certificate and its Secret have the name
// LOCALCERT-desk-NAME.
type Officer struct {
	// name of the officer in the certificate, spiffe://TRUSTDOMAIN/desk/NAME: lower-case
	// letters, digits and '-', at most 63 characters. It is what the journal records: do
	// not give it to another person.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="name must be lower-case letters, digits and '-'"
	Name string `json:"name,omitempty"`

	// displayName of the officer in messages, one line. Default: the name.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule=`!self.matches('[\\p{Cc}\\p{Zl}\\p{Zp}]')`,message="displayName must be one line, without control characters"
	DisplayName string `json:"displayName,omitempty"`

	// roles of the officer: Draft, Release or both.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	Roles []OfficerRole `json:"roles,omitempty"`
}

// OfficerStatus is where an officer's certificate is.
type OfficerStatus struct {
	// name of the officer.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// secretName is the Secret with the client certificate. Who may read it acts as this
	// officer: let nobody else.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName,omitempty"`

	// notAfter is when the certificate ends; absent while there is none.
	// +optional
	NotAfter *metav1.Time `json:"notAfter,omitempty"`
}
