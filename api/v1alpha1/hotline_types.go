// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// HotlineSpec declares the hotline to one peer.
// +kubebuilder:validation:XValidation:rule="!has(self.transit) || self.transit.all(t, t.name != self.peerRef.name)",message="transit must name third peers, not the one of peerRef"
type HotlineSpec struct {
	// peerRef names the PeerCERT at the other end. Immutable: another peer is
	// another hotline.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="peerRef is immutable: create another Hotline"
	PeerRef PeerReference `json:"peerRef,omitzero"`

	// deadlines for each precedence. A precedence without an entry has the
	// default: receipt 30 s (FLASH), 60 s (IMMEDIATE), 300 s (PRIORITY), 900 s
	// (ROUTINE); acknowledgement 300 s, 900 s, 3600 s and 86400 s; answer 3600 s, 14400 s,
	// 86400 s and 604800 s.
	// +optional
	// +listType=map
	// +listMapKey=precedence
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	Deadlines []HotlineDeadline `json:"deadlines,omitempty"`

	// lineChecks is the schedule on which every path is checked. Default: hourly.
	// +optional
	LineChecks *HotlineLineChecks `json:"lineChecks,omitempty"`

	// release says which messages need the release of how many officers before they
	// leave. Default: none does.
	// +optional
	Release *HotlineRelease `json:"release,omitempty"`

	// transit names the PeerCERTs through which messages to and from the peer may go,
	// sealed, while no direct path is up; the first is tried first. The peer must name
	// them for its hotline to us, too, and they must allow transit for both. At most 8.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Transit []PeerReference `json:"transit,omitempty"`

	// notifiers tell our own people what escalation and delivery say. At most 16.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Notifiers []HotlineNotifier `json:"notifiers,omitempty"`

	// escalation says whom to tell when somebody is silent beyond a deadline. At most 32
	// steps.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Escalation []HotlineEscalationStep `json:"escalation,omitempty"`

	// delivery says who hears of each new message of the peer. At most 8.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Delivery []HotlineNotice `json:"delivery,omitempty"`
}

// HotlineDeadline says how long an answer may take for one precedence. When it
// has passed, the conditions Reachable and Answered turn False; the message
// stays queued.
// +kubebuilder:validation:XValidation:rule="!has(self.receiptSeconds) || !has(self.acknowledgementSeconds) || self.receiptSeconds <= self.acknowledgementSeconds",message="receiptSeconds must not be longer than acknowledgementSeconds"
type HotlineDeadline struct {
	// precedence that the deadlines are for.
	// +required
	Precedence Precedence `json:"precedence,omitempty"`

	// receiptSeconds until the peer's relay has stored the message and returned
	// its signed receipt. 1 to 604800; default as for the precedence.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=604800
	ReceiptSeconds *int32 `json:"receiptSeconds,omitempty"`

	// acknowledgementSeconds until a duty officer of the peer has acknowledged
	// the message. 1 to 2592000; default as for the precedence.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2592000
	AcknowledgementSeconds *int32 `json:"acknowledgementSeconds,omitempty"`

	// answerSeconds until the peer has answered a message that asks for an answer
	// (INQUIRY, PRESERVE, EXTEND) and does not say itself until when. 1 to 31536000; default as
	// for the precedence.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=31536000
	AnswerSeconds *int32 `json:"answerSeconds,omitempty"`
}

// HotlineStatus is what our side saw of the hotline.
type HotlineStatus struct {
	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready, Reachable, Answered, LineChecked; Escalating, JournalDoubtful,
	// Reconciling and Stalled only while true. What needs attention first stands first.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// lastReceiptTime is when the peer stored a message of ours last, as its
	// signed receipt says.
	// +optional
	LastReceiptTime *metav1.Time `json:"lastReceiptTime,omitempty"`

	// drafts is the number of messages of ours that wait for their release.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Drafts *int64 `json:"drafts,omitempty"`

	// unacknowledged is the number of received messages that our own desk has
	// not acknowledged.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Unacknowledged *int64 `json:"unacknowledged,omitempty"`

	// lineChecks of each path, as our relay sees them: those that we dial, then those that
	// the peer dials, by address; at most 32.
	// +optional
	// +listType=map
	// +listMapKey=label
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	LineChecks []HotlineLineCheck `json:"lineChecks,omitempty"`
}

// Hotline declares the durable message channel to one peer.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=hl,categories=certlink
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Peer",type=string,JSONPath=`.spec.peerRef.name`
// +kubebuilder:printcolumn:name="Reachable",type=string,JSONPath=`.status.conditions[?(@.type=="Reachable")].status`
// +kubebuilder:printcolumn:name="Answered",type=string,JSONPath=`.status.conditions[?(@.type=="Answered")].status`
// +kubebuilder:printcolumn:name="Checked",type=string,JSONPath=`.status.conditions[?(@.type=="LineChecked")].status`
// +kubebuilder:printcolumn:name="Escalating",type=string,JSONPath=`.status.conditions[?(@.type=="Escalating")].reason`
// +kubebuilder:printcolumn:name="Inbox",type=integer,JSONPath=`.status.unacknowledged`
// +kubebuilder:printcolumn:name="Drafts",type=integer,JSONPath=`.status.drafts`
// +kubebuilder:printcolumn:name="Last Receipt",type=date,JSONPath=`.status.lastReceiptTime`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[0].reason`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[0].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:selectablefield:JSONPath=`.spec.peerRef.name`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')",message="metadata.name must have no dots and at most 63 characters"
type Hotline struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec declares the hotline.
	// +required
	Spec HotlineSpec `json:"spec,omitzero"`

	// status is what our side saw of the hotline.
	// +optional
	Status HotlineStatus `json:"status,omitzero"`
}

// HotlineList is a list of Hotlines.
//
// +kubebuilder:object:root=true
type HotlineList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []Hotline `json:"items"`
}

func init() { SchemeBuilder.Register(&Hotline{}, &HotlineList{}) }
