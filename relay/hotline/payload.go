// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/store"
)

// Version of the payloads that this release writes and reads.
const Version = message.Version

// KindACK is the kind of an acknowledgement.
const KindACK = string(message.ACK)

// Payload is the signed content of a message. Members that it does not name are
// kept, because the signed bytes are stored as they are.
type Payload = message.Message

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
func encode(p *Payload) ([]byte, error) {
	raw, err := message.Encode(p)
	if invalid, ok := errors.AsType[*message.InvalidError](err); ok {
		return nil, &desk.InvalidError{Faults: forDesk(invalid)}
	}
	if err != nil {
		return nil, fmt.Errorf("encoding message: %w", err)
	}
	if len(raw) > receipt.MaxPayloadBytes {
		return nil, &desk.InvalidError{Faults: []desk.Fault{{Field: "text", Reason: fmt.Sprintf(
			"the message has %d bytes once encoded, %d are allowed: split it", len(raw), receipt.MaxPayloadBytes)}}}
	}
	return raw, nil
}

// prepared is composed for a message that was just written: all but its serial is encoded before the
// transaction, in which others wait.
func prepared(p *Payload) (compose func(serial int64) (store.Message, error), err error) {
	p.Serial = 1
	raw, err := encode(p)
	return func(serial int64) (store.Message, error) {
		out, ok := numbered(raw, p.ID, serial)
		if !ok {
			return composed(p)(serial)
		}
		p.Serial = serial
		return beside(p, out), nil
	}, err
}

// numbered gives a payload with the serial 1 another one; false if it is not written as encode does, or
// may become too long.
func numbered(raw []byte, id string, serial int64) ([]byte, bool) {
	var room [128]byte
	before := append(strconv.AppendInt(append(room[:0], `{"version":`...), Version, 10), `,"id":"`...)
	before = append(append(before, id...), `","serial":1,`...)
	rest, ok := bytes.CutPrefix(raw, before)
	if !ok || len(raw)+20 > receipt.MaxPayloadBytes {
		return nil, false
	}
	out := append(make([]byte, 0, len(raw)+20), before[:len(before)-len("1,")]...)
	return append(append(strconv.AppendInt(out, serial, 10), ','), rest...), true
}

// decodeStored reads a payload from our own store, where it was checked once.
func decodeStored(raw []byte) (Payload, error) {
	var p Payload
	if err := json.Unmarshal(raw, &p); err != nil {
		return Payload{}, fmt.Errorf("reading stored message: %w", err)
	}
	return p, nil
}

// attachmentsOf returns the attachments that a stored message names.
func attachmentsOf(raw []byte) ([]message.Attachment, error) {
	if !bytes.Contains(raw, []byte(`"attachments"`)) {
		return nil, nil
	}
	p, err := decodeStored(raw)
	return p.Attachments, err
}

func receiptFor(p *Payload, raw []byte, storedAt time.Time) ReceiptPayload {
	return ReceiptPayload{
		Version: Version, MessageID: p.ID, Serial: p.Serial, From: p.From, To: p.To,
		PayloadSHA256: digest(raw), StoredAt: storedAt,
	}
}

// encodeReceipt writes a receipt for a message that was checked: none of its members needs
// escaping.
func encodeReceipt(r *ReceiptPayload) []byte { return appendReceipt(make([]byte, 0, 384), r) }

func appendReceipt(out []byte, r *ReceiptPayload) []byte {
	out = append(strconv.AppendInt(append(out, `{"version":`...), int64(r.Version), 10), `,"message_id":"`...)
	out = append(append(out, r.MessageID...), `","serial":`...)
	out = append(strconv.AppendInt(out, r.Serial, 10), `,"from":"`...)
	out = append(append(out, r.From...), `","to":"`...)
	out = append(append(out, r.To...), `","payload_sha256":"`...)
	out = append(append(out, r.PayloadSHA256...), `","stored_at":"`...)
	return append(r.StoredAt.AppendFormat(out, time.RFC3339Nano), `"}`...)
}

// notPlain is what JSON may have to escape, or has escaped.
func notPlain(r rune) bool { return r < ' ' || r > '~' || r == '\\' }

// scanReceipt reads a receipt that is written as encodeReceipt does, letter by letter; false says
// nothing.
func scanReceipt(raw []byte) (r ReceiptPayload, ok bool) {
	var room [384]byte
	rest := string(raw)
	next := func(before, after string) (value string) {
		tail, found := strings.CutPrefix(rest, before)
		value, _, ended := strings.Cut(tail, after)
		if !found || !ended {
			return ""
		}
		rest = tail[len(value):]
		return value
	}
	version, errVersion := strconv.Atoi(next(`{"version":`, `,`))
	r = ReceiptPayload{Version: version, MessageID: next(`,"message_id":"`, `"`)}
	serial, errSerial := strconv.ParseInt(next(`","serial":`, `,`), 10, 64)
	r.Serial, r.From, r.To, r.PayloadSHA256 = serial, next(`,"from":"`, `"`), next(`","to":"`, `"`), next(`","payload_sha256":"`, `"`)
	at, errTime := time.Parse(time.RFC3339Nano, next(`","stored_at":"`, `"`))
	r.StoredAt = at
	if errVersion != nil || errSerial != nil || errTime != nil || bytes.ContainsFunc(raw, notPlain) || !bytes.Equal(appendReceipt(room[:0], &r), raw) {
		return ReceiptPayload{}, false
	}
	return r, true
}

// readReceipt reads a receipt; nothing is compared.
func readReceipt(raw []byte) (r ReceiptPayload, err error) {
	if r, ok := scanReceipt(raw); ok {
		return r, nil
	}
	var other ReceiptPayload
	if err := json.Unmarshal(raw, &other); err != nil {
		return ReceiptPayload{}, fmt.Errorf("reading receipt: %w", err)
	}
	return other, nil
}

// compareReceipt compares a receipt with the message that it is for; from is who sent that.
func compareReceipt(r ReceiptPayload, m *store.Message, from string) error {
	to := m.Peer
	if m.Direction == store.In {
		from, to = m.Peer, from
	}
	want := ReceiptPayload{
		Version: r.Version, MessageID: m.ID, Serial: m.Serial, From: from, To: to, PayloadSHA256: digest(m.Payload), StoredAt: r.StoredAt,
	}
	switch {
	case r.Version != Version:
		return fmt.Errorf("reading receipt: version %d of the format is not known here, only %d", r.Version, Version)
	case r.StoredAt.IsZero():
		return fmt.Errorf("reading receipt: it does not say when the message was stored")
	case r != want:
		return fmt.Errorf("comparing receipt: it is for another message, sender, receiver or content")
	}
	return nil
}

func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	return string(text[:])
}
