// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Awaiting is a message of ours that asks for an answer and has none.
type Awaiting struct {
	// Message without content and without acknowledgement.
	Message
	// AnswerBy as the message says it; zero if it does not.
	AnswerBy time.Time
}

// askingKinds ask for an answer by themselves; answeringKinds do not answer, whatever
// they reply to.
var (
	askingKinds       = []string{"INQUIRY", "PRESERVE", "EXTEND"}
	notAnsweringKinds = []string{"ACK", "INQUIRY", "LINE_CHECK"}
	neverAskingKinds  = []string{"ACK", "CANCEL", "LINE_CHECK"}
)

// Asks tells whether a message asks for an answer, and by when, if it says so. Engines
// note it with each message of ours.
func Asks(m *Message) (by time.Time, asks bool) {
	if slices.Contains(neverAskingKinds, m.Kind) {
		return time.Time{}, false
	}
	if bytes.Contains(m.Payload, []byte(`"answer_by"`)) {
		by = answerBy(m.Payload)
	}
	return by, !by.IsZero() || slices.Contains(askingKinds, m.Kind)
}

// answerBy is zero where the content does not say it, which was checked before it came here.
func answerBy(payload []byte) time.Time {
	var content struct {
		AnswerBy time.Time `json:"answer_by"`
	}
	if json.Unmarshal(payload, &content) != nil {
		return time.Time{}
	}
	return content.AnswerBy
}

// Answers returns the ids of our messages that need no answer any more once m is
// stored: what a received message answers, or what one of ours cancels.
func Answers(m *Message) []string {
	switch {
	case m.Direction == Out && m.Kind == "CANCEL":
		return Marked(m)
	case m.Direction == In && m.InReplyTo != "" && !slices.Contains(notAnsweringKinds, m.Kind):
		return []string{m.InReplyTo}
	}
	return nil
}

// Escalation is a step that was taken because somebody is silent about a message.
type Escalation struct {
	// Direction and Message say about which message, Stage at which stage. Words of ours.
	Direction Direction
	Message   string
	Stage     string
	// Step is the name of the step, Taken how often it was taken.
	Step  string
	Taken int32
	// FirstAt and LastAt are when; whole microseconds.
	FirstAt, LastAt time.Time
}

// Notice is one thing to be told to one notifier, and what became of it.
type Notice struct {
	// ID is unique for each peer, and the same for the same thing.
	ID string
	// Peer is the trust domain of the hotline.
	Peer string
	// Event, Stage, Step and Occurrence say what, Direction and Message about which message.
	// Words of ours.
	Event, Stage, Step string
	Occurrence         int32
	Direction          Direction
	Message            string
	// Notifier by name.
	Notifier string
	// Urgency orders notices of a notifier, the lowest first.
	Urgency int32
	// Deadline that has passed; zero for none. At is when it was decided.
	Deadline, At time.Time
	// Batch names those that are told together; empty before the first attempt.
	Batch string
	// Attempts that were made. NextAt is when the next is due; zero when there is none: it
	// was told at SentAt, or given up.
	Attempts       int32
	NextAt, SentAt time.Time
	// Error of the last attempt, or why it was given up; at most MaxNoticeError bytes.
	Error string
}

// MaxNoticeError is the longest Notice.Error, in bytes.
const MaxNoticeError = 1024

// Check tells whether a notice can be stored.
func (n *Notice) Check() error {
	if n.ID == "" || n.Notifier == "" || n.Event == "" || len(n.Error) > MaxNoticeError {
		return fmt.Errorf("a notice needs an id, an event and a notifier, and an error of at most %d bytes", MaxNoticeError)
	}
	return nil
}

// OpenQuery selects notices of one notifier.
type OpenQuery struct {
	Peer, Notifier string
	// Due selects those whose next attempt is not later. Beyond selects those whose next
	// attempt is later than that, too: it was set by a clock that was ahead.
	Due, Beyond time.Time
	// Batch selects those of a batch; empty means all.
	Batch string
	// Limit is 1 to MaxMessages.
	Limit int
}

// NoticeQuery selects notices, newest first.
type NoticeQuery struct {
	// Peer is required.
	Peer string
	// Message by id, and Event; empty means all.
	Message, Event string
	// Before is the Next of the page before; zero starts with the newest.
	Before int64
	// Limit is 1 to MaxMessages.
	Limit int
}

// NoticePage is a part of a selection.
type NoticePage struct {
	Notices []Notice
	// Next continues when put into NoticeQuery.Before; zero at the end.
	Next int64
}

// Arrival is a received message with its position.
type Arrival struct {
	// Message without content.
	Message
	Position int64
}

// Escalations keeps what is done about silence. It is changed by ChangeLine.
type Escalations interface {
	Silences
	Notices
	Inbox
}

// Silences are messages that wait for somebody.
type Silences interface {
	// Unread returns received messages that our desk has not acknowledged, but for ACKs and line checks;
	// at most limit, the most urgent first, then by serial; without content.
	Unread(ctx context.Context, peer string, limit int) ([]Message, error)
	// Unanswered returns messages of ours that ask for an answer and have none, at most
	// limit, the most urgent first, then by serial. Those stored by a release that did not know of this
	// are not among them.
	Unanswered(ctx context.Context, peer string, limit int) ([]Awaiting, error)
	// IsUnanswered tells whether a message of ours is among those.
	IsUnanswered(ctx context.Context, peer, id string) (bool, error)
}

// Notices are what was told, or is to be told.
type Notices interface {
	// OpenEscalations returns steps that are not settled, at most limit, by direction, message, stage
	// and step: those behind after, or from the first one where that is zero.
	OpenEscalations(ctx context.Context, peer string, after Escalation, limit int) ([]Escalation, error)
	// OpenNotices returns notices whose next attempt is due, the most urgent first, then in the
	// order in which they were stored.
	OpenNotices(ctx context.Context, q OpenQuery) ([]Notice, error)
	// FailedNotices returns notices that were attempted in vain and are to be attempted again,
	// at most limit, in the order in which they were stored.
	FailedNotices(ctx context.Context, peer string, limit int) ([]Notice, error)
	// ListNotices returns a page of notices, newest first.
	ListNotices(ctx context.Context, q NoticeQuery) (NoticePage, error)
}

// Inbox is received messages in the order in which this store got them.
type Inbox interface {
	// Arrived returns messages received after a position, at most limit, ascending.
	Arrived(ctx context.Context, peer string, after int64, limit int) ([]Arrival, error)
	// Announced returns the position up to which received messages were announced; known is
	// false before the first SetAnnounced. ArrivedBefore is the position of the last
	// message received before a time, zero if there is none.
	Announced(ctx context.Context, peer string) (position int64, known bool, err error)
	ArrivedBefore(ctx context.Context, peer string, t time.Time) (int64, error)
}

// EscalationWriter changes what is done about silence on a line.
type EscalationWriter interface {
	// TakeStep stores that a step was taken e.Taken times. ErrConflict if it was not taken
	// exactly once less; nothing was done then. A settled step begins anew with 1.
	TakeStep(e Escalation) error
	// SettleSteps settles the steps of a message and stage. It gives up those of their notices
	// that were not told yet, and returns all that were attempted.
	SettleSteps(d Direction, message, stage, why string) ([]Notice, error)
	// PutNotice stores a notice in the place of what has its id. The line's peer is its peer.
	// What was told or given up stays so.
	PutNotice(n Notice) error
	// AbandonNotices gives up what is not told yet to any but these notifiers.
	AbandonNotices(notifiers []string, why string) error
	// SetAnnounced moves the position of Announced, if it is still from; -1 stands for none,
	// at either end. Else ErrConflict.
	SetAnnounced(from, to int64) error
}
