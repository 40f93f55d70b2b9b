// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PeerCERTSpec declares a peer: who it is, where its relay is, and which CA
// speaks for it. All of it is public.
type PeerCERTSpec struct {
	// identity says who the peer is.
	// +required
	Identity Identity `json:"identity,omitzero"`

	// endpoints of the peer's relay, at most eight. Without any, the peer dials us.
	// +optional
	// +listType=map
	// +listMapKey=address
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Endpoints []Endpoint `json:"endpoints,omitempty"`

	// trust says which CA certificates speak for the peer.
	// +required
	Trust PeerTrust `json:"trust,omitzero"`

	// state of the relation as we declare it, alone and at once. Active
	// (default): feeds, services and hotline. Suspended: feeds and services stop in
	// both directions, open tunnels are cut; the hotline and heartbeats go on.
	// Drained: as Suspended, but open tunnels end in their own time, and status
	// says when the last has. Revoked: nothing is accepted or sent, and open
	// connections are cut.
	// +optional
	// +default="Active"
	State PeerState `json:"state,omitempty"`

	// detection is the budget for noticing that the link is down.
	// +optional
	Detection DetectionBudget `json:"detection,omitzero"`

	// limits of what the peer may use of us.
	// +optional
	Limits PeerLimits `json:"limits,omitzero"`

	// transit says whether we carry sealed messages between this peer and other peers
	// that are Allowed: we can neither read nor change them, and see who writes to whom
	// and when. Denied (default) or Allowed.
	// +optional
	// +default="Denied"
	Transit TransitPolicy `json:"transit,omitempty"`

	// territory is what counts as the peer's own in rules with emanatesFrom.
	// +optional
	Territory PeerTerritory `json:"territory,omitzero"`

	// identities are the ids of STIX identities that this peer may speak for. What
	// another peer sends as created by one of them is quarantined.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=46
	// +kubebuilder:validation:items:MaxLength=46
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^identity--[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$')",message="identities must be ids of STIX identities, such as identity--f431f809-377b-45e0-aa1c-6a4751cae5ff"
	Identities []string `json:"identities,omitempty"`
}

// TransitPolicy says whether we carry messages between peers.
// +kubebuilder:validation:Enum=Denied;Allowed
type TransitPolicy string

// The policies of transit.
const (
	TransitDenied  TransitPolicy = "Denied"
	TransitAllowed TransitPolicy = "Allowed"
)

// PeerState is what we allow a peer.
// +kubebuilder:validation:Enum=Active;Suspended;Drained;Revoked
type PeerState string

// The states of a peer.
const (
	PeerActive    PeerState = "Active"
	PeerSuspended PeerState = "Suspended"
	PeerDrained   PeerState = "Drained"
	PeerRevoked   PeerState = "Revoked"
)

// PeerTrust is the trust bundle of a peer: the certificates of its own CA.
// +kubebuilder:validation:ExactlyOneOf=bundle;bundleRef
type PeerTrust struct {
	// bundle holds the peer's CA certificates, one or more in PEM (RFC 7468).
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32768
	// +kubebuilder:validation:XValidation:rule="self.contains('-----BEGIN CERTIFICATE-----')",message="bundle must hold the peer's CA certificates in PEM, beginning with -----BEGIN CERTIFICATE-----"
	// +kubebuilder:validation:XValidation:rule="!self.contains('PRIVATE KEY')",message="bundle must hold certificates only: remove the private key, and consider it disclosed"
	Bundle string `json:"bundle,omitempty"`

	// bundleRef names a key of a ConfigMap in the same namespace that holds the
	// peer's CA certificates in PEM.
	// +optional
	BundleRef *BundleReference `json:"bundleRef,omitempty"`

	// rotation says how a new bundle of the peer comes into force. Automatic
	// (default): the bundle above is the first; when the peer replaces its CA, its
	// relay offers the next one over the link, and ours takes it if the offer
	// verifies under the bundle in force. A change of the bundle above wins over
	// what was learned. Manual: an offered bundle waits, with its fingerprint in
	// status.trust, until a person puts it into the bundle above.
	// +optional
	// +default="Automatic"
	Rotation TrustRotation `json:"rotation,omitempty"`
}

// TrustRotation says how a new trust bundle comes into force.
// +kubebuilder:validation:Enum=Automatic;Manual
type TrustRotation string

// The ways of rotation.
const (
	RotationAutomatic TrustRotation = "Automatic"
	RotationManual    TrustRotation = "Manual"
)

// BundleReference names a key of a ConfigMap in the same namespace.
type BundleReference struct {
	// name of the ConfigMap.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="name must be the name of a ConfigMap of this namespace: lower-case letters, digits, '-' and '.'"
	Name string `json:"name,omitempty"`

	// key in the ConfigMap. Default "ca.crt".
	// +optional
	// +default="ca.crt"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9._-]+$') && self != '.' && !self.startsWith('..')",message="key must be a key of a ConfigMap: letters, digits, '.', '_' and '-', not beginning with '..'"
	Key string `json:"key,omitempty"`
}

// DetectionBudget says how often heartbeats go over each path, and how much
// silence a path survives. A path is down after max(misses × intervalMilliseconds,
// 2 × its round trip + intervalMilliseconds) in which nothing arrived; the link is
// down with its last path. Both sides should declare the same.
// +kubebuilder:validation:MinProperties=1
type DetectionBudget struct {
	// intervalMilliseconds between two heartbeats of a path. 50 to 60000, default 100.
	// +optional
	// +default=100
	// +kubebuilder:validation:Minimum=50
	// +kubebuilder:validation:Maximum=60000
	IntervalMilliseconds *int32 `json:"intervalMilliseconds,omitempty"`

	// misses is how many intervals of silence a path survives. 2 to 100, default 3.
	// +optional
	// +default=3
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=100
	Misses *int32 `json:"misses,omitempty"`
}

// PeerLimits bound what one peer may use of us.
// +kubebuilder:validation:MinProperties=1
type PeerLimits struct {
	// tunnelConnections is the largest number of tunnelled connections to and from
	// the peer at once. More are refused. 1 to 16384, default 1024.
	// +optional
	// +default=1024
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=16384
	TunnelConnections *int32 `json:"tunnelConnections,omitempty"`

	// tunnelKibibytesPerSecond bounds the tunnelled bytes to and from the peer,
	// each direction apart. 16 to 104857600 (100 GiB/s); without it there is no limit.
	// +optional
	// +kubebuilder:validation:Minimum=16
	// +kubebuilder:validation:Maximum=104857600
	TunnelKibibytesPerSecond *int32 `json:"tunnelKibibytesPerSecond,omitempty"`

	// transitKibibytesPerSecond bounds the sealed bytes that we carry on average for the
	// peer where spec.transit is Allowed, requests and answers together, and apart from those
	// the bytes that we take from others through it. What is more is refused, and its sender
	// tries again. 64 to 1048576 (1 GiB/s), default 1024 (1 MiB/s).
	// +optional
	// +default=1024
	// +kubebuilder:validation:Minimum=64
	// +kubebuilder:validation:Maximum=1048576
	TransitKibibytesPerSecond *int32 `json:"transitKibibytesPerSecond,omitempty"`
}

// PeerCERT declares a peer and what we allow it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=pcert,categories=certlink
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Connected",type=string,JSONPath=`.status.conditions[?(@.type=="Connected")].status`
// +kubebuilder:printcolumn:name="Redundant",type=string,JSONPath=`.status.conditions[?(@.type=="Redundant")].status`
// +kubebuilder:printcolumn:name="Since",type=date,JSONPath=`.status.conditions[?(@.type=="Connected")].lastTransitionTime`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.spec.state`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[0].reason`
// +kubebuilder:printcolumn:name="Trust",type=string,JSONPath=`.status.conditions[?(@.type=="TrustInSync")].status`,priority=1
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="PeerAccepted")].status`,priority=1
// +kubebuilder:printcolumn:name="Trust Domain",type=string,JSONPath=`.spec.identity.trustDomain`,priority=1
// +kubebuilder:printcolumn:name="Group",type=string,JSONPath=`.status.tls.group`,priority=1
// +kubebuilder:printcolumn:name="Protocol",type=integer,JSONPath=`.status.protocolVersion`,priority=1
// +kubebuilder:printcolumn:name="Peer Since",type=date,JSONPath=`.status.peerReport.observedTime`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[0].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:selectablefield:JSONPath=`.spec.identity.trustDomain`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')",message="metadata.name must have no dots and at most 63 characters: the other kinds name the peer by it"
type PeerCERT struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec declares the peer.
	// +required
	Spec PeerCERTSpec `json:"spec,omitzero"`

	// status is what our side saw of the peer.
	// +optional
	Status PeerCERTStatus `json:"status,omitzero"`
}

// PeerCERTList is a list of PeerCERTs.
//
// +kubebuilder:object:root=true
type PeerCERTList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []PeerCERT `json:"items"`
}

func init() { SchemeBuilder.Register(&PeerCERT{}, &PeerCERTList{}) }
