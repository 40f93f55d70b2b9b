// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package desk is the relay's local interface for people and our own tools: the
// wire types and paths of the local port (9443) that kubectl-certlink, a console
// or the operator use. The server is in desk too; package hotline and the feeds
// do the work.
//
// Every request is authenticated by a client certificate of our own CA. What a
// client may do follows from its SPIFFE ID:
//
//	spiffe://OURDOMAIN/operator  the report, checks of peers
//	spiffe://OURDOMAIN/desk      the report, checks of peers, the hotline, and what a tool may
//	spiffe://OURDOMAIN/desk/NAME the same as one officer, whom the configuration lists
//	spiffe://OURDOMAIN/tool      local TAXII, why an object was shared or held
//
// Errors are application/problem+json (RFC 9457); TAXII paths answer with TAXII
// errors.
package desk

import (
	"time"

	"github.com/certlink/certlink/relay/message"
)

// Paths on the local port. Report is report.Path; TAXII is /taxii2/.
const (
	// PathMessages: POST sends (SendRequest → Message), GET lists
	// (?direction=in|out&peer=&id=&conversation=&kind=&unread=true&before=&limit= →
	// MessageList). A conversation needs a peer.
	PathMessages = "/hotline/messages"
	// PathMessage: GET shows one message, PathMessages + "/{direction}/{peer}/{id}" → Message.
	PathMessage = "/hotline/messages/{direction}/{peer}/{id}"
	// PathAcknowledge: POST acknowledges a received message (AckRequest → Message, the ACK).
	PathAcknowledge = "/hotline/messages/in/{peer}/{id}/acknowledgement"
	// PathCheck: POST looks at each address of a peer now (→ Check). It takes no body.
	PathCheck = "/check/{peer}"
)

// Limits of the local port.
const (
	// MaxTextBytes is the longest text of a message.
	MaxTextBytes = 64 << 10
	// MaxSubjectBytes is the longest subject of a message.
	MaxSubjectBytes = 512
	// MaxOfficerBytes is the longest name of a duty officer.
	MaxOfficerBytes = 128
)

// SendRequest asks the relay to send a hotline message. When the answer is 201,
// the message is on stable storage.
type SendRequest struct {
	// Hotline is the name of the hotline.
	Hotline string `json:"hotline"`
	// ID is a ULID chosen by the client, so that repeating a request is safe.
	// Empty: the relay chooses one.
	ID string `json:"id,omitempty"`
	// Conversation is the id of the conversation; empty begins a new one.
	Conversation string `json:"conversation,omitempty"`
	// InReplyTo is the id of a received message.
	InReplyTo string `json:"inReplyTo,omitempty"`
	// Kind is INQUIRY, ANSWER, NOTIFICATION, PRESERVE, PRESERVE_ACK, EXTEND, RELEASE,
	// DOCUMENT, TERM, CORRECT or CANCEL. Default NOTIFICATION.
	Kind string `json:"kind,omitempty"`
	// Precedence is FLASH, IMMEDIATE, PRIORITY or ROUTINE. Default ROUTINE.
	Precedence string `json:"precedence,omitempty"`
	// TLP of the message. Default AMBER+STRICT.
	TLP string `json:"tlp,omitempty"`
	// RSIT is a class, or class:type, of the Reference Security Incident Taxonomy.
	RSIT string `json:"rsit,omitempty"`
	// Subject, one line. Required.
	Subject string `json:"subject"`
	// Text in the author's language. Required.
	Text string `json:"text"`
	// Language of subject and text, BCP 47. Default "en".
	Language string `json:"language,omitempty"`
	// Officer is the duty officer who sends.
	Officer string `json:"officer"`
	// Translations of subject and text, at most 8; the text itself stays authoritative.
	Translations []message.Translation `json:"translations,omitempty"`
	// References to earlier messages, at most 16: those that a CORRECT, CANCEL, EXTEND
	// or RELEASE is about.
	References []message.Reference `json:"references,omitempty"`
	// AnswerBy is when we hope for an answer.
	AnswerBy time.Time `json:"answerBy,omitzero"`
	// Exercise that the message belongs to, by name; the relay marks it so that it cannot be
	// taken for real. Empty for real traffic.
	Exercise string `json:"exercise,omitempty"`
	// Preserve says what is to be preserved, for PRESERVE and EXTEND.
	Preserve *message.Preserved `json:"preserve,omitempty"`
	// Term is the statement of a TERM.
	Term *message.Term `json:"term,omitempty"`
	// Attachments, at most 16, each complete by PathUpload before.
	Attachments []message.Attachment `json:"attachments,omitempty"`
}

// AckRequest acknowledges a received message.
type AckRequest struct {
	// Officer is the duty officer who read the message.
	Officer string `json:"officer"`
	// Text is an optional remark.
	Text string `json:"text,omitempty"`
}

// Message is a hotline message as the desk sees it.
type Message struct {
	Direction    string    `json:"direction"`
	Hotline      string    `json:"hotline,omitempty"`
	Peer         string    `json:"peer"`
	PeerName     string    `json:"peerName,omitempty"`
	ID           string    `json:"id"`
	Serial       int64     `json:"serial"`
	Conversation string    `json:"conversation"`
	InReplyTo    string    `json:"inReplyTo,omitempty"`
	Kind         string    `json:"kind"`
	Precedence   string    `json:"precedence"`
	TLP          string    `json:"tlp"`
	RSIT         string    `json:"rsit,omitempty"`
	Subject      string    `json:"subject,omitempty"`
	Text         string    `json:"text,omitempty"`
	Language     string    `json:"language,omitempty"`
	Officer      string    `json:"officer,omitempty"`
	CreatedAt    time.Time `json:"createdAt"`
	StoredAt     time.Time `json:"storedAt"`
	// Translations, References, AnswerBy and Preserve as in SendRequest.
	Translations []message.Translation `json:"translations,omitempty"`
	References   []message.Reference   `json:"references,omitempty"`
	AnswerBy     time.Time             `json:"answerBy,omitzero"`
	Preserve     *message.Preserved    `json:"preserve,omitempty"`
	Term         *message.Term         `json:"term,omitempty"`
	// Attachments that the message names. Those of a message that is stored are, too; their
	// names and types are the author's word.
	Attachments []message.Attachment `json:"attachments,omitempty"`
	// Standing, Marks and Remarks say what later messages of the same sender did to this one.
	Standing string   `json:"standing,omitempty"`
	Marks    []Mark   `json:"marks,omitempty"`
	Remarks  []string `json:"remarks,omitempty"`
	// ReleasedBy are the officers who released the message, in order; Warnings what the
	// glossary says about its words, for messages of ours that were just sent and for drafts.
	ReleasedBy []message.ReleaseBy `json:"releasedBy,omitempty"`
	Warnings   []string            `json:"warnings,omitempty"`
	// Draft is set while State is Draft, and says what it waits for or how it ended.
	Draft *Draft `json:"draft,omitempty"`
	// Exercise that the message belongs to; empty for real traffic. Suspicious says what does
	// not fit together in a received message about that.
	Exercise   string `json:"exercise,omitempty"`
	Suspicious string `json:"suspicious,omitempty"`
	// MixedScripts names the fields in which a word mixes letters of several scripts, as one does that is
	// made to look like another: peerName, subject, officer, acknowledgedBy, attachments and, of a message that is
	// asked for alone, text. Decided as Unicode Technical Standard 39 has it (Highly Restrictive).
	MixedScripts []string `json:"mixedScripts,omitempty"`
	// State is Queued, Stored (the receipt is verified) or Acknowledged for
	// messages of ours; Received or Acknowledged for those of the peer; Draft for what
	// was not sent.
	State string `json:"state"`
	// ReceiptAt is when the receiving side stored the message.
	ReceiptAt time.Time `json:"receiptAt,omitzero"`
	// ReceiptDue, of messages of ours, and AcknowledgeDue, of both directions, are when the
	// deadlines of our Hotline end.
	ReceiptDue     time.Time `json:"receiptDue,omitzero"`
	AcknowledgeDue time.Time `json:"acknowledgeDue,omitzero"`
	// AcknowledgedAt and AcknowledgedBy are from the signed acknowledgement;
	// AcknowledgedBy names the duty officer.
	AcknowledgedAt time.Time `json:"acknowledgedAt,omitzero"`
	AcknowledgedBy string    `json:"acknowledgedBy,omitempty"`
	// Receipt is the receipt as it was entered into the journal of who received the message.
	// Proof is the tlog-proof of what the peer said, the message (in) or the receipt (out), under
	// a checkpoint of its journal, and Chain its signer's certificates in PEM. In lists they are
	// left out.
	Receipt string `json:"receipt,omitempty"`
	Proof   string `json:"proof,omitempty"`
	Chain   string `json:"chain,omitempty"`
}

// MessageList is a page of messages, newest first.
type MessageList struct {
	Messages []Message `json:"messages"`
	// Next is the value of ?before= for the next page; zero at the end.
	Next int64 `json:"next,omitempty"`
}
