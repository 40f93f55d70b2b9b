// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"time"
)

// Direction of a message.
type Direction string

// The directions.
const (
	Out Direction = "out"
	In  Direction = "in"
)

// Message is a hotline message as stored.
type Message struct {
	Direction Direction
	// Peer is the trust domain of the other side.
	Peer string
	// ID is a ULID, unique for each direction and peer.
	ID string
	// Serial counts the messages of one direction and peer from 1, without gaps
	// at the sender.
	Serial int64
	// Conversation, Kind, Precedence, InReplyTo as in the payload.
	Conversation, Kind, Precedence, InReplyTo string
	// Payload is the exact content that is entered into the sender's journal.
	Payload []byte
	// Entry is the place in our journal, from 1: of a message of ours (Out) its own, of a
	// received one (In) that of our receipt. Zero before there was a journal.
	Entry int64
	// Urgency is 0 for a message that goes as FLASH does, growing with less urgent ones: that
	// of its precedence, or of a later one of its conversation. The store sets it.
	Urgency int
	// Attachments that the payload names, which must be stored complete: storing the
	// message holds them. They are not returned.
	Attachments []AttachmentUse
	// Signed is the signed message as earlier releases exchanged it, one by one.
	Signed []byte
	// Proof is that of what the peer said, its message (In) or its receipt (Out). It is read with
	// LineReader.Proof, and not returned otherwise.
	Proof Proof
	// CreatedAt is the author's time, StoredAt that of this store.
	CreatedAt, StoredAt time.Time
	// Receipt is the body of the peer's receipt (Out) or of ours (In); nil before. Of
	// earlier releases it is a JWS.
	Receipt []byte
	// ReceiptAt is when the receiving side stored the message; zero before.
	ReceiptAt time.Time
	// AcknowledgedBy is the id of the ACK message and AcknowledgedAt its time;
	// zero before.
	AcknowledgedBy string
	AcknowledgedAt time.Time
}

// MessageQuery selects messages, newest first.
type MessageQuery struct {
	// Direction and Peer; empty means both and all.
	Direction Direction
	Peer      string
	// ID, Conversation and Kind of messages; empty means all. A Conversation needs a Peer.
	ID, Conversation, Kind string
	// Unread selects received messages that our desk has not acknowledged, but for ACKs
	// and line checks, which are for relays.
	Unread bool
	// Before selects messages stored before the message with this rowid-like
	// position; zero starts with the newest.
	Before int64
	// Limit is 1 to MaxMessages.
	Limit int
}

// MessagePage is a part of a selection.
type MessagePage struct {
	Messages []Message
	// Next continues when put into MessageQuery.Before; zero at the end.
	Next int64
}

// Messages keeps the hotline's outbox and inbox.
type Messages interface {
	// Enqueue stores a message of ours. It gives the next serial for the peer to
	// compose, which must not block or use the store, and stores what that returns.
	// An error of compose is returned as it is, and uses up no serial. An id that
	// is stored already is ErrConflict. An ACK marks the received message that
	// InReplyTo names as acknowledged in the same transaction; ErrNotFound if there
	// is none, and a second ACK for it is ErrConflict. ErrIncomplete if an attachment is
	// not stored complete.
	Enqueue(ctx context.Context, peer string, compose func(serial int64) (Message, error)) (Message, error)
	// Pending returns messages to the peer without receipt, the most urgent
	// precedence first, then by serial, at most limit. A message counts as urgent
	// as the most urgent later one of its conversation, so that the order within a
	// conversation is that of the serials. Messages of the conversations in without,
	// at most MaxSelectors, are left out.
	Pending(ctx context.Context, peer string, limit int, without ...string) ([]Message, error)
	// Accept stores a received message, with our receipt. If the id is stored
	// with the same payload it returns what is stored and duplicate; with another
	// payload, or another id under the same serial, ErrConflict. An ACK marks the
	// message of ours that InReplyTo names, in the same transaction; the first ACK
	// stays, and one that names no message of ours marks nothing. ErrIncomplete if an
	// attachment of a message that is new is not stored complete.
	Accept(ctx context.Context, m Message) (stored Message, duplicate bool, err error)
	// GetMessage returns a message by direction, peer and id, or ErrNotFound.
	GetMessage(ctx context.Context, d Direction, peer, id string) (Message, error)
	// ListMessages returns a page of messages, newest first by the order in which
	// this store got them.
	ListMessages(ctx context.Context, q MessageQuery) (MessagePage, error)
	// Marks returns what messages of marking kinds say about the messages with these
	// ids, at most MaxMarked, of one direction and peer: the newest serial of each
	// target first, at most MaxMarks for each.
	Marks(ctx context.Context, d Direction, peer string, ids []string) ([]Mark, error)
	// Outstanding returns messages of ours to the peer without receipt, and those
	// with receipt that are not acknowledged (ACK messages are never
	// acknowledged); at most limit of each, the most urgent first, then by serial. Payload, Signed and
	// Receipt are left out.
	Outstanding(ctx context.Context, peer string, limit int) (noReceipt, noAck []Message, err error)
	// CountMessages sums up the hotline with a peer.
	CountMessages(ctx context.Context, peer string) (MessageCounts, error)
}

// MessageCounts sums up the messages exchanged with a peer.
type MessageCounts struct {
	// Queued are ours without receipt.
	Queued int64
	// Unacknowledged are received messages that our desk has not acknowledged, but for ACKs
	// and line checks.
	Unacknowledged int64
	// LastReceipt is the newest ReceiptAt of our messages.
	LastReceipt time.Time
	// Gaps is the number of serials of the peer that are missing below the
	// largest one received.
	Gaps int64
}
