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
	// (default): feeds and hotline. Suspended: feeds stop in both directions, the
	// hotline and probes go on. Revoked: nothing is accepted or sent, and open
	// connections are cut.
	// +optional
	// +default="Active"
	State PeerState `json:"state,omitempty"`

	// detection is the budget for noticing that the link is down.
	// +optional
	Detection DetectionBudget `json:"detection,omitzero"`
}

// PeerState is what we allow a peer.
// +kubebuilder:validation:Enum=Active;Suspended;Revoked
type PeerState string

// The states of a peer.
const (
	PeerActive    PeerState = "Active"
	PeerSuspended PeerState = "Suspended"
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
}

// BundleReference names a key of a ConfigMap in the same namespace.
type BundleReference struct {
	// name of the ConfigMap.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// key in the ConfigMap. Default "ca.crt".
	// +optional
	// +default="ca.crt"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}

// DetectionBudget says how often the link is probed and how many probes in a
// row may fail. A cut is noticed after at most
// intervalMilliseconds × (misses + 1) plus the probe's timeout, which is the
// larger of one interval and two seconds.
// +kubebuilder:validation:MinProperties=1
type DetectionBudget struct {
	// intervalMilliseconds between two probes. 200 to 60000, default 1000.
	// +optional
	// +default=1000
	// +kubebuilder:validation:Minimum=200
	// +kubebuilder:validation:Maximum=60000
	IntervalMilliseconds *int32 `json:"intervalMilliseconds,omitempty"`

	// misses in a row after which the link counts as down. 1 to 20, default 3.
	// +optional
	// +default=3
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20
	Misses *int32 `json:"misses,omitempty"`
}

// PeerCERTStatus is what our side saw of the peer.
type PeerCERTStatus struct {
	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready, Connected, Suspended; Reconciling and Stalled only while true.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// fingerprint of the peer's card as we hold it: SHA-256 over trust domain and
	// CA certificates. Compare it with the peer over another channel.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Fingerprint string `json:"fingerprint,omitempty"`

	// detectionMilliseconds is the worst case from a cut to Connected=False,
	// computed from spec.detection.
	// +optional
	// +kubebuilder:validation:Minimum=0
	DetectionMilliseconds int64 `json:"detectionMilliseconds,omitempty"`

	// tls of the current connection to the peer.
	// +optional
	TLS *PeerTLS `json:"tls,omitempty"`

	// paths to the peer, as last probed.
	// +optional
	// +listType=map
	// +listMapKey=address
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Paths []PeerPath `json:"paths,omitempty"`
}

// PeerTLS describes the TLS session with the peer.
type PeerTLS struct {
	// version negotiated, for example "TLS 1.3".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	Version string `json:"version,omitempty"`

	// group of the key exchange, for example "X25519MLKEM768".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Group string `json:"group,omitempty"`

	// peerNotAfter is the earliest end of validity in the chain that the peer showed.
	// +optional
	PeerNotAfter *metav1.Time `json:"peerNotAfter,omitempty"`
}

// PeerPath is one way to the peer.
type PeerPath struct {
	// address of the peer's endpoint.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=261
	Address string `json:"address,omitempty"`

	// state of the path: Up when the last probes came back, Down when they did
	// not, Unknown before the first was decided.
	// +required
	// +kubebuilder:validation:Enum=Up;Down;Unknown
	State string `json:"state,omitempty"`

	// message says why the path is down.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// PeerCERT declares a peer and what we allow it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=pcert,categories=certlink
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Connected",type=string,JSONPath=`.status.conditions[?(@.type=="Connected")].status`
// +kubebuilder:printcolumn:name="Since",type=date,JSONPath=`.status.conditions[?(@.type=="Connected")].lastTransitionTime`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.spec.state`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Connected")].reason`
// +kubebuilder:printcolumn:name="Trust Domain",type=string,JSONPath=`.spec.identity.trustDomain`,priority=1
// +kubebuilder:printcolumn:name="Group",type=string,JSONPath=`.status.tls.group`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Connected")].message`,priority=1
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
