// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package message

import "time"

// Version of the content that this release writes and reads.
const Version = 1

// Kind of a message. Kinds that a receiver does not know are stored and shown.
type Kind string

// The kinds.
const (
	Inquiry      Kind = "INQUIRY"
	Answer       Kind = "ANSWER"
	Notification Kind = "NOTIFICATION"
	// Preserve asks that data be kept (Budapest Convention article 29), PreserveAck says
	// that it is, Extend asks for longer, Release that it need not be any more.
	Preserve    Kind = "PRESERVE"
	PreserveAck Kind = "PRESERVE_ACK"
	Extend      Kind = "EXTEND"
	Release     Kind = "RELEASE"
	// Document carries an exchange of views; its content is in the attachments.
	Document Kind = "DOCUMENT"
	// TermKind carries a side's definition of a term.
	TermKind Kind = "TERM"
	// LineCheckKind is the scheduled test of a path.
	LineCheckKind Kind = "LINE_CHECK"
	// ACK says that a duty officer has read a message.
	ACK Kind = "ACK"
	// Correct and Cancel are about earlier messages of the sender, by reference.
	Correct Kind = "CORRECT"
	Cancel  Kind = "CANCEL"
)

// Kinds are those that this release knows.
var Kinds = []Kind{
	Inquiry, Answer, Notification, Preserve, PreserveAck, Extend, Release, Document, TermKind, LineCheckKind, ACK, Correct, Cancel,
}

// Message is the content of a hotline message. The schema says what each member may
// hold; in what is marshalled, empty members are left out.
type Message struct {
	Version int `json:"version"`
	// ID is a ULID, unique for each sender and receiver.
	ID string `json:"id"`
	// Serial counts the sender's messages to this receiver from 1, without gaps.
	Serial int64 `json:"serial"`
	// From and To are trust domains.
	From string `json:"from"`
	To   string `json:"to"`
	// Conversation groups messages; by habit it is the id of the first one.
	Conversation string `json:"conversation"`
	// InReplyTo is the id of a message of the receiver.
	InReplyTo string `json:"in_reply_to,omitempty"`
	Kind      Kind   `json:"kind"`
	// Precedence is FLASH, IMMEDIATE, PRIORITY or ROUTINE.
	Precedence string `json:"precedence"`
	TLP        string `json:"tlp"`
	// RSIT is a class, or class:type, of the taxonomy.
	RSIT string `json:"rsit,omitempty"`
	// CreatedAt is the time of the sender, UTC, in microseconds.
	CreatedAt time.Time `json:"created_at"`
	// Officer who wrote it; of an ACK, who read the message.
	Officer string `json:"officer,omitempty"`
	// ReleasedBy are those who released it, in order.
	ReleasedBy []ReleaseBy `json:"released_by,omitempty"`
	Subject    string      `json:"subject,omitempty"`
	// Text in the author's language is authoritative.
	Text string `json:"text,omitempty"`
	// Language of subject and text, BCP 47.
	Language     string        `json:"language,omitempty"`
	Translations []Translation `json:"translations,omitempty"`
	Attachments  []Attachment  `json:"attachments,omitempty"`
	References   []Reference   `json:"references,omitempty"`
	// AnswerBy is when the sender hopes for an answer.
	AnswerBy time.Time  `json:"answer_by,omitzero"`
	Preserve *Preserved `json:"preserve,omitempty"`
	Term     *Term      `json:"term,omitempty"`
	// LineCheck of a message of kind LINE_CHECK.
	LineCheck *LineCheck `json:"line_check,omitempty"`
	// Exercise names the exercise that the message is part of.
	Exercise string `json:"exercise,omitempty"`
}

// ReleaseBy is a person's release of a message.
type ReleaseBy struct {
	Officer string `json:"officer"`
	// Identity is what the relay authenticated.
	Identity string    `json:"identity"`
	At       time.Time `json:"at"`
}

// Translation of subject and text.
type Translation struct {
	Language   string `json:"language"`
	Subject    string `json:"subject,omitempty"`
	Text       string `json:"text"`
	Translator string `json:"translator,omitempty"`
	// Machine: no person has checked it.
	Machine bool `json:"machine,omitempty"`
}

// Attachment is a file that travels beside the message, known by its digest.
type Attachment struct {
	Name      string `json:"name"`
	MediaType string `json:"media_type,omitempty"`
	// Size in bytes, at most MaxAttachmentBytes.
	Size int64 `json:"size"`
	// SHA256 in lower-case hexadecimal.
	SHA256 string `json:"sha256"`
}

// TestCode is the code of line checks and exercises.
const TestCode = "test:test"

// MaxAttachmentBytes is the size of the largest attachment: 25 MiB.
const MaxAttachmentBytes = 25 << 20

// Reference to an earlier message.
type Reference struct {
	ID     string `json:"id"`
	Serial int64  `json:"serial,omitempty"`
	// By is BySender (default) or ByReceiver: whose message it is.
	By string `json:"by,omitempty"`
}

// The values of Reference.By.
const (
	BySender   = "sender"
	ByReceiver = "receiver"
)

// Preserved is data that is asked to be preserved.
type Preserved struct {
	Items      []string  `json:"items"`
	LegalBasis string    `json:"legal_basis,omitempty"`
	Until      time.Time `json:"until,omitzero"`
	Case       string    `json:"case,omitempty"`
}

// Term is one side's definition of a term.
type Term struct {
	ID string `json:"id"`
	// Version counts the definitions of this side from 1.
	Version    int64  `json:"version"`
	Name       string `json:"name"`
	Language   string `json:"language"`
	Definition string `json:"definition"`
	// Position is proposed, agreed or disagreed.
	Position string `json:"position"`
}

// LineCheck is the scheduled test of one path.
type LineCheck struct {
	Path   string    `json:"path"`
	Slot   time.Time `json:"slot"`
	TextID string    `json:"text_id,omitempty"`
}
