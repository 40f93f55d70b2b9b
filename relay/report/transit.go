// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package report

// Transit is the state of a way through another peer.
type Transit struct {
	// Peer in the middle.
	Peer string `json:"peer"`
	// State of the way.
	State TransitState `json:"state"`
	// Error of the last attempt, with what to do, in state Failed.
	Error string `json:"error,omitempty"`
}

// TransitState is what we know of a way through another peer.
type TransitState string

// The states of a way.
const (
	// TransitUnproven: it was not tried yet.
	TransitUnproven TransitState = "Unproven"
	// TransitReady: the last attempt went there and back.
	TransitReady TransitState = "Ready"
	// TransitFailed: the last attempt did not.
	TransitFailed TransitState = "Failed"
	// TransitNotCarried: the peer in the middle says that it carries nothing for us.
	TransitNotCarried TransitState = "NotCarried"
	// TransitNotAccepted: the peer at the other end does not say that it takes what comes
	// this way.
	TransitNotAccepted TransitState = "NotAccepted"
)
