// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package report

import "time"

// LineCheckState is how a path stands in one direction: Answered (a check succeeded within
// the declared time), Missed (none did), NotTested (we have not watched for long enough)
// or NotDeclared (the peer does not say that it checks).
type LineCheckState string

// The states of a path in one direction.
const (
	LineAnswered    LineCheckState = "Answered"
	LineMissed      LineCheckState = "Missed"
	LineNotTested   LineCheckState = "NotTested"
	LineNotDeclared LineCheckState = "NotDeclared"
)

// LineCheck is what is known of one path of a hotline.
type LineCheck struct {
	// Address of the endpoint. Accepted: the peer dials this address of ours; else we dial it.
	Address  string `json:"address"`
	Accepted bool   `json:"accepted,omitempty"`
	// Sent: our checks over this path are answered. Received: those of the peer reach us.
	Sent     LineCheckState `json:"sent"`
	Received LineCheckState `json:"received"`
	// LastSent and LastReceived are when a check last succeeded, to the minute.
	LastSent     time.Time `json:"lastSent,omitzero"`
	LastReceived time.Time `json:"lastReceived,omitzero"`
	// Failure of the last check of ours; empty when it was answered. One line.
	Failure string `json:"failure,omitempty"`
}
