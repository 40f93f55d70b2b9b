// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package report

import "time"

// Hotline is the state of a hotline.
type Hotline struct {
	// Name of the hotline.
	Name string `json:"name"`
	// Peer at the other end.
	Peer string `json:"peer"`
	// Queued is the number of our messages without a verified receipt.
	Queued int64 `json:"queued"`
	// OverdueReceipts is the number of these whose receipt deadline has passed.
	OverdueReceipts int64 `json:"overdueReceipts"`
	// OverdueAcknowledgements is the number of our messages whose
	// acknowledgement deadline has passed.
	OverdueAcknowledgements int64 `json:"overdueAcknowledgements"`
	// OverdueAnswers is the number of our messages that ask for an answer whose deadline
	// has passed.
	OverdueAnswers int64 `json:"overdueAnswers,omitempty"`
	// OverdueInbox is the number of received messages that our own desk has not
	// acknowledged before their deadline.
	OverdueInbox int64 `json:"overdueInbox,omitempty"`
	// Escalation is what our relay does about silence; nil while there is nothing to tell.
	Escalation *Escalation `json:"escalation,omitempty"`
	// LastReceipt is when the peer last stored a message of ours, as its receipt says.
	LastReceipt time.Time `json:"lastReceipt,omitzero"`
	// Unacknowledged is the number of received messages that our desk has not acknowledged.
	Unacknowledged int64 `json:"unacknowledged"`
	// Drafts is the number of our messages that wait for their release, UrgentDraftSince when
	// the oldest FLASH or IMMEDIATE one of them was written.
	Drafts           int64     `json:"drafts,omitempty"`
	UrgentDraftSince time.Time `json:"urgentDraftSince,omitzero"`
	// Error of the last delivery attempt, with what to do.
	Error string `json:"error,omitempty"`
	// Journal is how the journals of both sides stand.
	Journal Journal `json:"journal"`
	// LineChecks of each path: those that we dial, then those that the peer dials, by
	// address. At most 64.
	LineChecks []LineCheck `json:"lineChecks,omitempty"`
	// Transit are the ways through other peers, in the order in which they are tried.
	Transit []Transit `json:"transit,omitempty"`
	// Via is the peer through which messages go now, as no direct path is up; empty when
	// they go directly, or not at all.
	Via string `json:"via,omitempty"`
}
