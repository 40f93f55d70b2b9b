// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// HotlineLineChecks is the schedule of the checks that our relay sends over each path of
// the hotline, standby ones too.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.missedAfterSeconds) || self.missedAfterSeconds > (has(self.intervalSeconds) ? self.intervalSeconds : 3600)",message="missedAfterSeconds must be longer than intervalSeconds, which is 3600 unless it is set"
type HotlineLineChecks struct {
	// intervalSeconds between two checks of a path. 10 to 86400; default 3600.
	// +optional
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=86400
	IntervalSeconds *int32 `json:"intervalSeconds,omitempty"`

	// missedAfterSeconds without a good check in a direction, a path counts as missed and
	// the condition LineChecked turns False. 11 to 172800, and more than intervalSeconds;
	// default one and a half intervals.
	// +optional
	// +kubebuilder:validation:Minimum=11
	// +kubebuilder:validation:Maximum=172800
	MissedAfterSeconds *int32 `json:"missedAfterSeconds,omitempty"`

	// texts that are sent in turn instead of the built-in ones. They are to be neutral: no
	// politics, no names, no weather of a real place. 1 to 32 texts of 1 to 256 characters.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Texts []string `json:"texts,omitempty"`
}

// LineCheckState is how a path stands in one direction: Answered, Missed, NotTested (we
// have not watched for long enough to tell) or NotDeclared (the peer does not say that it
// checks).
// +kubebuilder:validation:Enum=Answered;Missed;NotTested;NotDeclared
type LineCheckState string

// The states of a path in one direction.
const (
	LineAnswered    LineCheckState = "Answered"
	LineMissed      LineCheckState = "Missed"
	LineNotTested   LineCheckState = "NotTested"
	LineNotDeclared LineCheckState = "NotDeclared"
)

// HotlineLineCheck is what is known of one path of the hotline.
type HotlineLineCheck struct {
	// label is the path: "to HOST:PORT" where we dial, "from HOST:PORT" where the peer dials
	// that address of ours.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=300
	Label string `json:"label,omitempty"`

	// sent says whether our checks over this path are answered.
	// +required
	Sent LineCheckState `json:"sent,omitempty"`

	// received says whether the checks of the peer reach us over this path.
	// +required
	Received LineCheckState `json:"received,omitempty"`

	// lastSent is when a check of ours was last answered, to the minute. It is absent while
	// they are: then it was within the declared time, and the metrics tell when.
	// +optional
	LastSent *metav1.Time `json:"lastSent,omitempty"`

	// lastReceived is when a check of the peer last arrived, to the minute. It is absent while
	// they do.
	// +optional
	LastReceived *metav1.Time `json:"lastReceived,omitempty"`
}
