// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Reasons of hotlines.
const (
	// ReasonReceiptsInTime: nothing waits for a receipt beyond its deadline.
	ReasonReceiptsInTime = "ReceiptsInTime"
	// ReasonByTransit: no direct path is up, and messages get through another peer.
	ReasonByTransit = "ByTransit"
	// ReasonReceiptOverdue: a message has no receipt and its deadline has passed.
	ReasonReceiptOverdue = "ReceiptOverdue"
	// ReasonLinkDown: the PeerCERT is not Connected.
	ReasonLinkDown = "LinkDown"
	// ReasonPathsChecked: every path was checked in both directions in time.
	ReasonPathsChecked = "PathsChecked"
	// ReasonCheckUnanswered: checks of ours over a path are not answered.
	ReasonCheckUnanswered = "CheckUnanswered"
	// ReasonPeerCheckMissing: the checks of the peer over a path do not reach us.
	ReasonPeerCheckMissing = "PeerCheckMissing"
	// ReasonNotCheckedYet: a path was not checked yet, or the peer does not say that it checks.
	ReasonNotCheckedYet = "NotCheckedYet"
	// ReasonAcknowledgedInTime: nothing waits for an acknowledgement beyond its deadline.
	ReasonAcknowledgedInTime = "AcknowledgedInTime"
	// ReasonAcknowledgementOverdue: a message is stored at the peer, but no duty
	// officer acknowledged it before its deadline.
	ReasonAcknowledgementOverdue = "AcknowledgementOverdue"
	// ReasonAnswerOverdue: a message that asks for an answer has none, and its deadline has passed.
	ReasonAnswerOverdue = "AnswerOverdue"
	// ReasonReceiptEscalated: a step was taken because the peer's relay did not store a message of ours.
	ReasonReceiptEscalated = "ReceiptEscalated"
	// ReasonAcknowledgementEscalated: a step was taken because no duty officer of the peer
	// acknowledged a message of ours.
	ReasonAcknowledgementEscalated = "AcknowledgementEscalated"
	// ReasonAnswerEscalated: a step was taken because the peer did not answer.
	ReasonAnswerEscalated = "AnswerEscalated"
	// ReasonInboxEscalated: a step was taken because our own desk did not acknowledge a
	// message of the peer.
	ReasonInboxEscalated = "InboxEscalated"
	// ReasonNotifierFailing: a notifier does not take what it is told.
	ReasonNotifierFailing = "NotifierFailing"
	// ReasonEscalationUnrecorded: our relay cannot record what it escalates.
	ReasonEscalationUnrecorded = "EscalationUnrecorded"
	// ReasonJournalRolledBack: our database was set back to an older state.
	ReasonJournalRolledBack = "JournalRolledBack"
	// ReasonPeerJournalRolledBack: the peer's database was set back.
	ReasonPeerJournalRolledBack = "PeerJournalRolledBack"
	// ReasonPeerJournalForked: the peer has shown two histories of its journal.
	ReasonPeerJournalForked = "PeerJournalForked"
	// ReasonJournalDamaged: an entry or a message of ours was edited, removed or inserted.
	ReasonJournalDamaged = "JournalDamaged"
	// ReasonMessagesMissing: messages of the peer below its newest have not arrived.
	ReasonMessagesMissing = "MessagesMissing"
)
