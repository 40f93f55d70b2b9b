// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/receipt"
)

// Kinds of statement, the typ of their JWS.
const (
	TypeMessage = "certlink-hotline-message"
	TypeReceipt = "certlink-hotline-receipt"
)

// Version of the payloads that this release writes and reads.
const Version = 1

// KindACK is the kind of an acknowledgement.
const KindACK = "ACK"

// Payload is the signed content of a message. Members that it does not name are
// kept, because the signed bytes are stored as they are.
type Payload struct {
	// Version of this format.
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
	// Kind of message. Kinds that a receiver does not know are stored and shown.
	Kind string `json:"kind"`
	// Precedence is FLASH, IMMEDIATE, PRIORITY or ROUTINE.
	Precedence string `json:"precedence"`
	// TLP of the message.
	TLP string `json:"tlp"`
	// CreatedAt is the time of the sender, UTC, in microseconds.
	CreatedAt time.Time `json:"created_at"`
	// Officer who sends; of an ACK, who read the message.
	Officer string `json:"officer,omitempty"`
	// Subject, one line.
	Subject string `json:"subject,omitempty"`
	// Text in the author's language.
	Text string `json:"text,omitempty"`
	// Language of subject and text, BCP 47.
	Language string `json:"language,omitempty"`
}

// ReceiptPayload is the signed content of a receipt: this very message is on the
// stable storage of the receiver.
type ReceiptPayload struct {
	// Version of this format.
	Version int `json:"version"`
	// MessageID, Serial, From and To as in the message.
	MessageID string `json:"message_id"`
	Serial    int64  `json:"serial"`
	From      string `json:"from"`
	To        string `json:"to"`
	// PayloadSHA256 is the hexadecimal digest of the message's payload.
	PayloadSHA256 string `json:"payload_sha256"`
	// StoredAt is the time of the receiver, UTC.
	StoredAt time.Time `json:"stored_at"`
}

// encode writes a payload and bounds it, so that it fits with any chain.
func (p *Payload) encode() ([]byte, error) {
	raw, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encoding message: %w", err)
	}
	if len(raw) > receipt.MaxPayloadBytes {
		return nil, &desk.InvalidError{Faults: []desk.Fault{{Field: "text", Reason: fmt.Sprintf(
			"the message has %d bytes once encoded, %d are allowed: split it", len(raw), receipt.MaxPayloadBytes)}}}
	}
	return raw, nil
}

// decodePayload reads the payload of a received message and checks every member.
// Names that occur twice and text that is not UTF-8 are errors.
func decodePayload(raw []byte) (Payload, error) {
	var p Payload
	if err := json.Unmarshal(raw, &p); err != nil {
		return Payload{}, fmt.Errorf("reading message: %w", err)
	}
	if p.Version != Version {
		return Payload{}, fmt.Errorf("reading message: version %d of the format is not known here, only %d", p.Version, Version)
	}
	if faults := p.check(); len(faults) > 0 {
		return Payload{}, fmt.Errorf("reading message: %w", &desk.InvalidError{Faults: faults})
	}
	return p, nil
}

// decodeStored reads a payload from our own store, where it was checked once.
func decodeStored(raw []byte) (Payload, error) {
	var p Payload
	if err := json.Unmarshal(raw, &p); err != nil {
		return Payload{}, fmt.Errorf("reading stored message: %w", err)
	}
	return p, nil
}

func receiptFor(p Payload, raw []byte, storedAt time.Time) ReceiptPayload {
	return ReceiptPayload{
		Version: Version, MessageID: p.ID, Serial: p.Serial, From: p.From, To: p.To,
		PayloadSHA256: digest(raw), StoredAt: storedAt,
	}
}

// decodeReceipt reads a receipt and compares it with the message that we sent.
func decodeReceipt(raw, message []byte) (ReceiptPayload, error) {
	var r ReceiptPayload
	if err := json.Unmarshal(raw, &r); err != nil {
		return ReceiptPayload{}, fmt.Errorf("reading receipt: %w", err)
	}
	p, err := decodeStored(message)
	if err != nil {
		return ReceiptPayload{}, err
	}
	want := receiptFor(p, message, r.StoredAt)
	want.Version = r.Version
	switch {
	case r.Version != Version:
		return ReceiptPayload{}, fmt.Errorf("reading receipt: version %d of the format is not known here, only %d", r.Version, Version)
	case r.StoredAt.IsZero():
		return ReceiptPayload{}, fmt.Errorf("reading receipt: it does not say when the message was stored")
	case r != want:
		return ReceiptPayload{}, fmt.Errorf("comparing receipt: it is for another message, sender, receiver or content")
	}
	return r, nil
}

func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
