// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// AuthorityRotation says who begins to replace our root.
// +kubebuilder:validation:Enum=Automatic;Manual
type AuthorityRotation string

// The ways to begin.
const (
	// AuthorityAutomatic: the operator begins when the CA certificate of a CA of our
	// own has less than a third of its life left.
	AuthorityAutomatic AuthorityRotation = "Automatic"
	// AuthorityManual: a person begins, by raising spec.authority.generation.
	AuthorityManual AuthorityRotation = "Manual"
)

// AuthoritySpec says how our root is replaced.
// +kubebuilder:validation:MinProperties=1
type AuthoritySpec struct {
	// generation of the CA of our own, 1 to 10000, default 1. Raising it asks for a
	// new root with a new key; lowering it does nothing. It does nothing either
	// while spec.issuerRef names an issuer.
	// +optional
	// +default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	Generation *int32 `json:"generation,omitempty"`

	// rotation says who begins: Automatic (default) lets the operator begin when the
	// CA certificate of a CA of our own has less than a third of its life left,
	// Manual waits until generation is raised. A changed issuer begins at once.
	// +optional
	// +default="Automatic"
	Rotation AuthorityRotation `json:"rotation,omitempty"`

	// leaveBehind names peers for which a rotation does not wait. They need our
	// new card afterwards, given by hand.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	LeaveBehind []string `json:"leaveBehind,omitempty"`
}

// IssuerInUse names a cert-manager Issuer of the same namespace, or a ClusterIssuer.
type IssuerInUse struct {
	// name of the issuer.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// kind of the issuer: Issuer or ClusterIssuer.
	// +required
	// +kubebuilder:validation:Enum=Issuer;ClusterIssuer
	Kind string `json:"kind,omitempty"`
}

// AuthorityStatus is the CA that our certificates are issued from.
// +kubebuilder:validation:MinProperties=1
type AuthorityStatus struct {
	// issuerRef is the issuer of our certificates.
	// +optional
	IssuerRef *IssuerInUse `json:"issuerRef,omitempty"`

	// generation numbers the CA of our own that is in use: its objects are NAME-ca
	// for 1, NAME-ca-2 and so on. Absent with an issuer of yours.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Generation int32 `json:"generation,omitempty"`

	// requestedGeneration is the highest spec.authority.generation that was acted on.
	// +optional
	// +kubebuilder:validation:Minimum=0
	RequestedGeneration int32 `json:"requestedGeneration,omitempty"`

	// reissues counts how often all certificates were issued anew from the same
	// issuer, because its CA certificate had changed.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Reissues int32 `json:"reissues,omitempty"`

	// root is the hexadecimal SHA-256 of the CA certificate that our certificates
	// chain to.
	// +optional
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	Root string `json:"root,omitempty"`

	// replacedRoot is the root that the last rotation replaced.
	// +optional
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	ReplacedRoot string `json:"replacedRoot,omitempty"`

	// bundle holds the CA certificates by which peers are to know us, in PEM: while
	// a root replaces another, both.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32768
	Bundle string `json:"bundle,omitempty"`
}

// RotationStep is a step of the replacement of a root.
// +kubebuilder:validation:Enum=Distribute;Issue;Retire
type RotationStep string

// The steps, in their order.
const (
	// StepDistribute: peers get the old and the new root, and say that they accept both.
	StepDistribute RotationStep = "Distribute"
	// StepIssue: certificates are issued from the new root, and peers say that they saw one.
	StepIssue RotationStep = "Issue"
	// StepRetire: the old root leaves the bundle, and peers are told.
	StepRetire RotationStep = "Retire"
)

// RotationCause says why a rotation began.
// +kubebuilder:validation:Enum=Requested;Age;IssuerChanged;RootChanged
type RotationCause string

// The causes.
const (
	// CauseRequested: spec.authority.generation was raised.
	CauseRequested RotationCause = "Requested"
	// CauseAge: the root has less than a third of its life left.
	CauseAge RotationCause = "Age"
	// CauseIssuerChanged: spec.issuerRef was changed.
	CauseIssuerChanged RotationCause = "IssuerChanged"
	// CauseRootChanged: the issuer signs with another root than before.
	CauseRootChanged RotationCause = "RootChanged"
)

// RotationStatus is the replacement of our root that is under way.
type RotationStatus struct {
	// step that is under way.
	// +required
	Step RotationStep `json:"step,omitempty"`

	// cause of the rotation.
	// +required
	Cause RotationCause `json:"cause,omitempty"`

	// startTime is when the rotation began.
	// +required
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// stepTime is when the step began.
	// +required
	StepTime *metav1.Time `json:"stepTime,omitempty"`

	// issuerRef is the issuer of the new root.
	// +required
	IssuerRef IssuerInUse `json:"issuerRef,omitzero"`

	// generation numbers the new CA of our own; absent with an issuer of yours.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Generation int32 `json:"generation,omitempty"`

	// fromRoot is the hexadecimal SHA-256 of the CA certificate that is replaced.
	// +required
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	FromRoot string `json:"fromRoot,omitempty"`

	// toRoot is that of the new one; absent until the new issuer has signed.
	// +optional
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	ToRoot string `json:"toRoot,omitempty"`

	// waitingFor says what the step waits for, and what can be done.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	WaitingFor string `json:"waitingFor,omitempty"`

	// peers that the rotation is about, at most 1024.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1024
	Peers []RotationPeer `json:"peers,omitempty"`
}

// RotationPeerState is how far a peer is.
// +kubebuilder:validation:Enum=Waiting;Accepted;Seen;LeftBehind
type RotationPeerState string

// The states.
const (
	// PeerWaiting: the peer has not said that it accepts the new root.
	PeerWaiting RotationPeerState = "Waiting"
	// PeerAccepted: the peer accepts the new root.
	PeerAccepted RotationPeerState = "Accepted"
	// PeerSeen: the peer saw our certificate from the new root.
	PeerSeen RotationPeerState = "Seen"
	// PeerLeftBehind: the rotation does not wait for the peer.
	PeerLeftBehind RotationPeerState = "LeftBehind"
)

// RotationPeer is how far one peer is.
type RotationPeer struct {
	// name of the PeerCERT.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// state is Waiting, Accepted, Seen or LeftBehind.
	// +required
	State RotationPeerState `json:"state,omitempty"`
}
