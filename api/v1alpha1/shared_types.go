// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Identity says who a CERT is.
type Identity struct {
	// displayName is the name of the CERT as people write it, for example
	// "CERT Alfa". 1 to 128 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule=`!self.matches('\\p{Cc}')`,message="displayName must be one line, without control characters"
	DisplayName string `json:"displayName,omitempty"`

	// country is the ISO 3166-1 alpha-2 code of the CERT's constituency, in
	// capital letters. Codes for user-assigned use (XA to XZ) are accepted.
	// +optional
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=2
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Z]{2}$')",message="country must be two capital letters, as in ISO 3166-1 alpha-2"
	Country string `json:"country,omitempty"`

	// trustDomain is the SPIFFE trust domain of the CERT and the name by which
	// its peers know it, for example "alfa.example". Lower-case letters, digits,
	// dots, dashes and underscores (SPIFFE-ID section 2.1); at most 255 characters.
	// Immutable: another trust domain is another party.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$')",message="trustDomain must be a SPIFFE trust domain: lower-case letters, digits, '.', '-' and '_', beginning and ending with a letter or digit"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="trustDomain is immutable: another trust domain is another party; create a new object"
	TrustDomain string `json:"trustDomain,omitempty"`

	// contact says how people reach the CERT when the link is down (RFC 2350
	// section 2). It is printed on the card.
	// +optional
	Contact *Contact `json:"contact,omitempty"`
}

// Contact is the part of RFC 2350 section 2 that a duty officer needs.
// +kubebuilder:validation:MinProperties=1
type Contact struct {
	// email is the CERT's address for reports, RFC 2350 section 2.7.
	// +optional
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[^@\\s\\p{Cc}]+@[^@\\s\\p{Cc}]+$')`,message="email must be an address such as duty@cert.alfa.example"
	Email string `json:"email,omitempty"`

	// telephone is the duty officer's number in E.164 form, RFC 2350 section 2.4.
	// +optional
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[+][0-9 ]+$')",message="telephone must begin with '+' and the country code, and hold digits and spaces only"
	Telephone string `json:"telephone,omitempty"`
}

// Endpoint is one address at which a CERT's relay accepts links.
type Endpoint struct {
	// address is HOST:PORT of the relay's link port. HOST is a DNS name or an
	// IPv4 address, or an IPv6 address in brackets; PORT is 1 to 65535.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=261
	// +kubebuilder:validation:XValidation:rule="self.matches('^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?([.][A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*|[[][0-9A-Fa-f:.]+[]]):[0-9]{1,5}$') && int(self.substring(self.lastIndexOf(':') + 1)) >= 1 && int(self.substring(self.lastIndexOf(':') + 1)) <= 65535 && (!self.startsWith('[') || isIP(self.substring(1, self.indexOf(']'))))",message="address must be HOST:PORT, for example relay.bravo.example:8443; an IPv6 host stands in brackets and the port is 1 to 65535"
	Address string `json:"address,omitempty"`

	// label names the way that this address takes, for people: "fibre", "satellite".
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule=`!self.matches('\\p{Cc}')`,message="label must be one line, without control characters"
	Label string `json:"label,omitempty"`

	// priority orders the endpoints: the lowest is tried first. 0 to 100, default 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Priority *int32 `json:"priority,omitempty"`
}

// PeerReference names a PeerCERT in the same namespace.
type PeerReference struct {
	// name of the PeerCERT.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="name must be the name of a PeerCERT of this namespace: lower-case letters, digits and '-'"
	Name string `json:"name,omitempty"`
}

// TLPLevel is a level of the Traffic Light Protocol 2.0 (FIRST, August 2022).
// +kubebuilder:validation:Enum=CLEAR;GREEN;AMBER;AMBER+STRICT;RED
type TLPLevel string

// The levels of TLP 2.0, from the widest to the narrowest audience.
const (
	TLPClear       TLPLevel = "CLEAR"
	TLPGreen       TLPLevel = "GREEN"
	TLPAmber       TLPLevel = "AMBER"
	TLPAmberStrict TLPLevel = "AMBER+STRICT"
	TLPRed         TLPLevel = "RED"
)

// Precedence is the urgency of a hotline message.
// +kubebuilder:validation:Enum=FLASH;IMMEDIATE;PRIORITY;ROUTINE
type Precedence string

// The precedences, the most urgent first.
const (
	PrecedenceFlash     Precedence = "FLASH"
	PrecedenceImmediate Precedence = "IMMEDIATE"
	PrecedencePriority  Precedence = "PRIORITY"
	PrecedenceRoutine   Precedence = "ROUTINE"
)
