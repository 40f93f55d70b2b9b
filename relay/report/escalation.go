// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package report

import "time"

// Escalation is what our relay does about silence on a hotline.
type Escalation struct {
	// Open is the number of messages about which a step was taken and somebody is still
	// silent, at any stage.
	Open int64 `json:"open,omitempty"`
	// Stage, Step, Message, Direction and At are those of the step that was taken last, of
	// those that are open.
	Stage     string    `json:"stage,omitempty"`
	Step      string    `json:"step,omitempty"`
	Message   string    `json:"message,omitempty"`
	Direction string    `json:"direction,omitempty"`
	At        time.Time `json:"at,omitzero"`
	// Failing are the notifiers that do not take what they are told, by name.
	Failing []FailingNotifier `json:"failing,omitempty"`
	// Error says why nothing can be decided or recorded; empty when all is well.
	Error string `json:"error,omitempty"`
}

// FailingNotifier is a notifier that does not take what it is told.
type FailingNotifier struct {
	// Name of the notifier, and Waiting the number of notices that wait for it.
	Name    string `json:"name"`
	Waiting int64  `json:"waiting"`
	// Since is when the oldest of these was decided, to the second.
	Since time.Time `json:"since"`
	// Error of the last attempt, with what to do.
	Error string `json:"error"`
}
