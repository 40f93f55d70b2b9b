// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PeerCERTStatus is what our side saw of the peer, and what the peer says it
// sees of us. Round trips and counts are metrics: they are not in it.
type PeerCERTStatus struct {
	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready, Connected, Redundant, PeerAccepted, TrustInSync and
	// Suspended; Reconciling and Stalled only while true. What needs attention first
	// stands first.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// fingerprint of the peer's card as our spec has it: SHA-256 over trust domain
	// and CA certificates. Compare it with the peer over another channel.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Fingerprint string `json:"fingerprint,omitempty"`

	// detectionMilliseconds is the worst case from a cut to a path that is down:
	// the silence that spec.detection allows at the round trip that our relay
	// measured, and what was under way when the cut came; rounded up. Before the
	// round trip is known it is misses × interval.
	// +optional
	// +kubebuilder:validation:Minimum=0
	DetectionMilliseconds int64 `json:"detectionMilliseconds,omitempty"`

	// protocolVersion of the link that both sides speak: the highest that they
	// share. Absent before the peer's first offer, and when they share none.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ProtocolVersion int32 `json:"protocolVersion,omitempty"`

	// tls of the current connection to the peer.
	// +optional
	TLS *PeerTLS `json:"tls,omitempty"`

	// trust says which CA certificates speak for the peer now.
	// +optional
	Trust *PeerTrustStatus `json:"trust,omitempty"`

	// peerReport is the peer's own view, from its last signed offer.
	// +optional
	PeerReport *PeerReport `json:"peerReport,omitempty"`

	// paths to the peer: those that we dial, then those that the peer dials.
	// +optional
	// +listType=map
	// +listMapKey=address
	// +listMapKey=direction
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
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

// TrustSource says where a trust bundle came from.
// +kubebuilder:validation:Enum=Spec;Offer
type TrustSource string

// The sources of a trust bundle.
const (
	// TrustFromSpec: it is the one in spec.trust.
	TrustFromSpec TrustSource = "Spec"
	// TrustFromOffer: the peer offered it, under the bundle that was in force.
	TrustFromOffer TrustSource = "Offer"
)

// PeerTrustStatus says which CA certificates speak for the peer.
type PeerTrustStatus struct {
	// fingerprint of the peer's card with the CA certificates in force.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Fingerprint string `json:"fingerprint,omitempty"`

	// source of the bundle in force: Spec, or Offer when the peer replaced its CA
	// and spec.trust.rotation is Automatic.
	// +required
	Source TrustSource `json:"source,omitempty"`

	// learnedTime is when the bundle was learned from an offer.
	// +optional
	LearnedTime *metav1.Time `json:"learnedTime,omitempty"`

	// offeredFingerprint is that of the peer's card with a bundle that it offers
	// and that waits for a person: spec.trust.rotation is Manual. Compare it with
	// the peer over another channel.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	OfferedFingerprint string `json:"offeredFingerprint,omitempty"`

	// offeredBundle is the bundle that waits, in PEM. Once its fingerprint is
	// confirmed it belongs into spec.trust.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32768
	OfferedBundle string `json:"offeredBundle,omitempty"`
}

// PeerReport is what the peer says of itself and of the link, as it signed it.
type PeerReport struct {
	// state is what the peer allows us, as in spec.state of its PeerCERT about us;
	// Unknown when its release has one that ours does not know.
	// +required
	// +kubebuilder:validation:Enum=Active;Suspended;Drained;Revoked;Unknown
	State string `json:"state,omitempty"`

	// outbound tells whether the peer's heartbeats to us are answered, as the peer sees it.
	// +required
	Outbound PathState `json:"outbound,omitempty"`

	// inbound tells whether our heartbeats reach the peer, as the peer sees it.
	// +required
	Inbound PathState `json:"inbound,omitempty"`

	// pathsUp is the number of paths to us that the peer counts as up.
	// +optional
	// +kubebuilder:validation:Minimum=0
	PathsUp *int32 `json:"pathsUp,omitempty"`

	// release of the peer's relay, as it says.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Release string `json:"release,omitempty"`

	// cardFingerprint is that of our card as the peer holds it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	CardFingerprint string `json:"cardFingerprint,omitempty"`

	// observedTime is when the offer came that first said this. Offers go on coming
	// every half minute and write nothing while they say the same; once they stay
	// away, PeerAccepted says so and this is when the last one came.
	// +required
	ObservedTime *metav1.Time `json:"observedTime,omitempty"`
}

// PathState is the state of a path, or of one direction of it or of the link.
// +kubebuilder:validation:Enum=Up;Suspect;Recovering;Down;Unknown
type PathState string

// The states of a path.
const (
	PathUp         PathState = "Up"
	PathSuspect    PathState = "Suspect"
	PathRecovering PathState = "Recovering"
	PathDown       PathState = "Down"
	PathUnknown    PathState = "Unknown"
)

// PathDirection says who dials a path. It is used in both directions all the same.
// +kubebuilder:validation:Enum=Dialed;Accepted
type PathDirection string

// The directions of a path.
const (
	// PathDialed: our relay dials an address of the peer.
	PathDialed PathDirection = "Dialed"
	// PathAccepted: the peer's relay dials an address of ours.
	PathAccepted PathDirection = "Accepted"
)

// PeerPath is one way to the peer.
type PeerPath struct {
	// address that is dialled: the peer's endpoint, or ours.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=261
	Address string `json:"address,omitempty"`

	// direction is Dialed by us (default), or Accepted from the peer.
	// +optional
	// +default="Dialed"
	Direction PathDirection `json:"direction,omitempty"`

	// state of the path: Up; Suspect when it has been silent for a while; Down;
	// Recovering when heartbeats are back, but not for long enough; Unknown before
	// the first was decided.
	// +required
	State PathState `json:"state,omitempty"`

	// outbound tells whether the peer hears us over this path.
	// +optional
	Outbound PathState `json:"outbound,omitempty"`

	// inbound tells whether we hear the peer over this path.
	// +optional
	Inbound PathState `json:"inbound,omitempty"`

	// sinceTime is when the state was entered.
	// +optional
	SinceTime *metav1.Time `json:"sinceTime,omitempty"`

	// message says why the path is not up.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}
