// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/certlink/certlink/internal/mixedscript"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// detail says how much of a message is shown.
type detail int

const (
	// listed leaves the signed forms out.
	listed detail = iota
	// whole shows all.
	whole
)

// List returns a page of messages, newest first. Peer of the query is a trust
// domain or our name for the peer.
func (e *Engine) List(ctx context.Context, q store.MessageQuery) (desk.MessageList, error) {
	var f faults
	f.require(q.Direction == "" || q.Direction == store.In || q.Direction == store.Out, "direction", "must be in or out")
	f.require(q.Limit >= 1 && q.Limit <= store.MaxMessages, "limit", "must be within 1 to %d", store.MaxMessages)
	f.require(q.Before >= 0, "before", "must be the next of the page before")
	f.require(q.Conversation == "" || q.Peer != "", "peer", "is required with a conversation")
	f.require(!q.Unread || q.Direction != store.Out, "direction", "must be in: of messages of ours, none is unread")
	for field, value := range map[string]string{"id": q.ID, "conversation": q.Conversation, "kind": q.Kind} {
		f.require(len(value) <= 64, field, "must have at most 64 letters")
	}
	if len(f) > 0 {
		return desk.MessageList{}, &desk.InvalidError{Faults: f}
	}
	if l := e.line(q.Peer); l != nil {
		q.Peer = l.trustDomain
	}
	page, err := e.cfg.Store.ListMessages(ctx, q)
	if err != nil {
		return desk.MessageList{}, err
	}
	list := desk.MessageList{Messages: make([]desk.Message, 0, len(page.Messages)), Next: page.Next}
	for _, stored := range page.Messages {
		m, err := e.show(ctx, stored, listed)
		if err != nil {
			return desk.MessageList{}, err
		}
		list.Messages = append(list.Messages, m)
	}
	if err := e.mark(ctx, list.Messages); err != nil {
		return desk.MessageList{}, fmt.Errorf("listing messages: %w", err)
	}
	return list, nil
}

// Get returns one message with its signed forms. peer is a trust domain or our
// name for the peer. The error wraps store.ErrNotFound if there is none.
func (e *Engine) Get(ctx context.Context, d store.Direction, peer, id string) (desk.Message, error) {
	if l := e.line(peer); l != nil {
		peer = l.trustDomain
	}
	stored, err := e.cfg.Store.GetMessage(ctx, d, peer, id)
	if err != nil {
		return desk.Message{}, err
	}
	m, err := e.show(ctx, stored, whole)
	if err != nil {
		return desk.Message{}, err
	}
	one := []desk.Message{m}
	if err := e.mark(ctx, one); err != nil {
		return desk.Message{}, fmt.Errorf("showing message %s: %w", id, err)
	}
	return one[0], nil
}

// show makes a stored message what the desk sees, without what others say about it.
func (e *Engine) show(ctx context.Context, s store.Message, d detail) (desk.Message, error) {
	p, err := decodeStored(s.Payload)
	if err != nil {
		return desk.Message{}, fmt.Errorf("showing message %s: %w", s.ID, err)
	}
	return e.showPayload(ctx, s, &p, d)
}

// showPayload is show of a message whose payload has been read.
func (e *Engine) showPayload(ctx context.Context, s store.Message, p *Payload, d detail) (m desk.Message, err error) {
	m = desk.Message{
		Direction: string(s.Direction), Peer: s.Peer, ID: s.ID, Serial: s.Serial,
		Conversation: s.Conversation, InReplyTo: s.InReplyTo, Kind: s.Kind, Precedence: s.Precedence,
		TLP: p.TLP, RSIT: p.RSIT, Subject: p.Subject, Text: p.Text, Language: p.Language, Officer: p.Officer,
		Translations: p.Translations, References: p.References, AnswerBy: p.AnswerBy, Preserve: p.Preserve,
		Attachments: p.Attachments, Term: p.Term, ReleasedBy: p.ReleasedBy, CreatedAt: s.CreatedAt, StoredAt: s.StoredAt, ReceiptAt: s.ReceiptAt, State: state(s),
	}
	if l := e.lineTo(s.Peer); l != nil {
		hotline, peer := l.settings()
		m.Hotline, m.PeerName = hotline.Name, peer.DisplayName
		m.ReceiptDue, m.AcknowledgeDue = due(s, hotline.Deadlines)
	}
	if s.AcknowledgedBy != "" {
		m.AcknowledgedAt = s.AcknowledgedAt
		if m.AcknowledgedBy, err = e.acknowledger(ctx, s); err != nil {
			return desk.Message{}, fmt.Errorf("showing message %s: %w", s.ID, err)
		}
	}
	if err := e.showExercise(ctx, &s, p, &m); err != nil {
		return desk.Message{}, err
	}
	m.MixedScripts = mixedIn(&m, d)
	if d == whole {
		err = e.evidence(ctx, &s, &m)
	}
	return m, err
}

// mixedIn are the fields of a message in which a word mixes scripts. A list does not look into texts, which
// would take longer than all the rest of it.
func mixedIn(m *desk.Message, d detail) (fields []string) {
	look := func(field, text string) {
		if mixedscript.In(text) && !slices.Contains(fields, field) {
			fields = append(fields, field)
		}
	}
	look("peerName", m.PeerName)
	look("subject", m.Subject)
	look("officer", m.Officer)
	look("acknowledgedBy", m.AcknowledgedBy)
	for i := range m.Attachments {
		look("attachments", m.Attachments[i].Name)
	}
	if d == whole {
		look("text", m.Text)
	}
	return fields
}

// due is when a message should have its receipt, if it is ours, and its acknowledgement.
// What we ask of the peer we ask of ourselves. Nobody acknowledges an ACK or a line check.
func due(s store.Message, deadlines []config.Deadline) (receipt, acknowledgement time.Time) {
	r, a := allowed(deadlines, s.Precedence)
	if s.Direction == store.Out && r > 0 {
		receipt = s.StoredAt.Add(r)
	}
	if s.Kind != KindACK && s.Kind != string(message.LineCheckKind) && a > 0 {
		acknowledgement = s.StoredAt.Add(a)
	}
	return receipt, acknowledgement
}

// acknowledger is the officer named in the ACK of a message.
func (e *Engine) acknowledger(ctx context.Context, s store.Message) (string, error) {
	opposite := store.In
	if s.Direction == store.In {
		opposite = store.Out
	}
	ack, err := e.cfg.Store.GetMessage(ctx, opposite, s.Peer, s.AcknowledgedBy)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	p, err := decodeStored(ack.Payload)
	return p.Officer, err
}

// state names how far a message has come, as desk.Message.State has it.
func state(s store.Message) string {
	switch {
	case s.AcknowledgedBy != "":
		return "Acknowledged"
	case s.Direction == store.In:
		return "Received"
	case s.Receipt != nil:
		return "Stored"
	default:
		return "Queued"
	}
}

// lineNamed finds a hotline by its own name.
func (e *Engine) lineNamed(name string) *line {
	return e.lineOf(func(l *line) bool { return l.name() == name })
}
