// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// Send stores a message of ours; when it returns, the message is on stable
// storage and will be sent until the peer's receipt is there. created is false
// when the same request was stored before. Where the hotline asks for a release, it is
// stored as a draft instead, and leaves when it has that. Errors are a *desk.InvalidError
// or *desk.ForbiddenError, or wrap store.ErrConflict (the id is that of another message)
// or store.ErrFull.
func (e *Engine) Send(ctx context.Context, r desk.SendRequest) (m desk.Message, created bool, err error) {
	if r.Precedence == "FLASH" {
		defer e.cfg.Preempt.Begin()()
	}
	l, p, err := e.compose(ctx, r)
	if err != nil {
		return desk.Message{}, false, err
	}
	return e.submit(ctx, l, p, r)
}

// submit stores a composed message, or draft, for its request.
func (e *Engine) submit(ctx context.Context, l *line, p *Payload, r desk.SendRequest) (m desk.Message, created bool, err error) {
	a, err := e.actor(ctx)
	if err != nil {
		return desk.Message{}, false, err
	}
	drafted := l.quorum(a, p) > 0
	if r.ID != "" && drafted { // else storing it finds out
		stored, err := e.cfg.Store.GetMessage(ctx, store.Out, l.trustDomain, r.ID)
		if err == nil {
			return e.repeated(ctx, stored, *p, r)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return desk.Message{}, false, err
		}
	}
	warnings := e.lint(ctx, l, p)
	if drafted {
		return e.toDraft(ctx, l, *p, warnings)
	}
	stored, err := e.enqueue(ctx, l, p)
	if errors.Is(err, store.ErrConflict) {
		// The same request a moment ago.
		if stored, getErr := e.cfg.Store.GetMessage(ctx, store.Out, l.trustDomain, p.ID); getErr == nil {
			return e.repeated(ctx, stored, *p, r)
		}
	}
	if err != nil {
		return desk.Message{}, false, err
	}
	m, err = e.showPayload(ctx, stored, p, listed) // it has no evidence yet
	m.Warnings = warnings
	return m, true, err
}

// lint asks the glossary about the words of a message, at most maxWarnings.
func (e *Engine) lint(ctx context.Context, l *line, p *Payload) []string {
	if e.cfg.Lint == nil {
		return nil
	}
	warnings := e.cfg.Lint(ctx, l.trustDomain, p)
	return warnings[:min(len(warnings), maxWarnings)]
}

// compose checks a request and completes it, except for what storing gives.
func (e *Engine) compose(ctx context.Context, r desk.SendRequest) (*line, *Payload, error) {
	p := e.payloadOf(r)
	var f faults
	a, err := e.actor(ctx)
	if err == nil && a.officer != nil {
		err = a.must(config.Draft, "sending a message")
	}
	if err != nil {
		return nil, nil, err
	}
	a.name(&p.Officer, &f)
	l := e.lineNamed(r.Hotline)
	if l == nil {
		f.require(false, "hotline", "there is no hotline %q, or its peer is revoked", oneLine(r.Hotline))
	}
	if !slices.Contains(deskKinds, p.Kind) {
		f.require(false, "kind", "must be one of %v", deskKinds)
	}
	f.require(strings.TrimSpace(r.Subject) != "", "subject", "is required")
	f.require(strings.TrimSpace(r.Text) != "", "text", "is required")
	f.require(strings.TrimSpace(p.Officer) != "", "officer", "is required")
	if l != nil {
		p.To = l.trustDomain
		if err := errors.Join(e.joinConversation(ctx, p, &f), e.checkReferences(ctx, p, &f), e.checkTerm(ctx, p, &f), e.markExercise(ctx, p, &f)); err != nil {
			return nil, nil, err
		}
	}
	if p.Conversation == "" {
		p.Conversation = p.ID
	}
	checkFiles(p.Attachments, &f)
	for _, fault := range check(p) {
		if l == nil && fault.Field == "to" {
			continue // that there is no such hotline says it
		}
		if !slices.ContainsFunc(f, func(known desk.Fault) bool { return known.Field == fault.Field }) {
			f = append(f, fault)
		}
	}
	if len(f) > 0 {
		return nil, nil, &desk.InvalidError{Faults: f}
	}
	return l, p, nil
}

// payloadOf is what a request says, with the defaults of what it leaves out.
func (e *Engine) payloadOf(r desk.SendRequest) *Payload {
	p := &Payload{
		Version: Version, ID: r.ID, Serial: 1, From: e.cfg.Identity().TrustDomain(),
		Conversation: r.Conversation, InReplyTo: r.InReplyTo, Kind: message.Kind(r.Kind), Precedence: r.Precedence, TLP: r.TLP, RSIT: r.RSIT,
		CreatedAt: e.cfg.Now().UTC().Truncate(time.Microsecond),
		Officer:   r.Officer, Subject: r.Subject, Text: r.Text, Language: r.Language,
		Translations: r.Translations, References: r.References, AnswerBy: r.AnswerBy.UTC(), Preserve: r.Preserve, Term: r.Term,
		Attachments: r.Attachments, Exercise: r.Exercise,
	}
	if p.Kind == "" {
		p.Kind = message.Notification
	}
	if p.ID == "" {
		p.ID = ulid.Make().String()
	}
	p.Precedence, p.TLP, p.Language = cmp.Or(p.Precedence, "ROUTINE"), cmp.Or(p.TLP, "AMBER+STRICT"), cmp.Or(p.Language, "en")
	return p
}

// joinConversation puts an answer into the conversation of what it answers.
func (e *Engine) joinConversation(ctx context.Context, p *Payload, f *faults) error {
	if p.InReplyTo == "" {
		return nil
	}
	answered, err := e.cfg.Store.GetMessage(ctx, store.In, p.To, p.InReplyTo)
	if errors.Is(err, store.ErrNotFound) {
		f.require(false, "inReplyTo", "there is no such message from %s", p.To)
		return nil
	}
	if err != nil {
		return err
	}
	f.require(p.Conversation == "" || p.Conversation == answered.Conversation, "conversation", "must be that of inReplyTo, %s", answered.Conversation)
	p.Conversation = answered.Conversation
	return nil
}

// checkReferences completes references with the serials of what they name. What is
// corrected or cancelled must be a message of ours to this peer.
func (e *Engine) checkReferences(ctx context.Context, p *Payload, f *faults) error {
	p.References = slices.Clone(p.References)
	for i := range p.References {
		r, at := &p.References[i], fmt.Sprintf("references/%d", i)
		direction, whose := store.Out, "to"
		if r.By == message.ByReceiver {
			direction, whose = store.In, "from"
		}
		named, err := e.cfg.Store.GetMessage(ctx, direction, p.To, r.ID)
		if errors.Is(err, store.ErrNotFound) {
			f.require(false, at, "there is no such message %s %s", whose, p.To)
			continue
		}
		if err != nil {
			return err
		}
		own := p.Kind == message.Correct || p.Kind == message.Cancel
		f.require(!own || direction == store.Out, at, "only a message of our own can be corrected or cancelled")
		r.Serial = named.Serial
		if p.Conversation == "" {
			p.Conversation = named.Conversation
		}
	}
	return nil
}

// enqueue does step 1, see the package comment. What must be released is refused.
func (e *Engine) enqueue(ctx context.Context, l *line, p *Payload) (store.Message, error) {
	var stored store.Message
	compose, err := prepared(p)
	if err != nil {
		return store.Message{}, err
	}
	err = l.commit(ctx, &waiting{urgent: p.Precedence == "FLASH", do: func(tx store.LineTx) ([]store.JournalEntry, error) {
		// Inside the transaction: rules and officers of this moment count.
		a, err := e.actor(ctx)
		if err == nil {
			err = l.unreleased(a, p)
		}
		if err == nil {
			err = l.noDraft(tx, p.ID)
		}
		if err != nil {
			return nil, ofOne(err, true)
		}
		entry, err := enqueued(tx, p, compose, &stored)
		if err != nil {
			return nil, err
		}
		act, err := direct(a, &stored)
		if act == nil || err != nil {
			return entry, err
		}
		return append(entry, act...), nil
	}})
	if err != nil {
		return store.Message{}, err
	}
	e.wasQueued(ctx, l, &stored, p.AnswerBy)
	return stored, nil
}

// composed gives a message its serial and what the store keeps beside it.
func composed(p *Payload) func(serial int64) (store.Message, error) {
	return func(serial int64) (store.Message, error) {
		p.Serial = serial
		raw, err := encode(p)
		return beside(p, raw), err
	}
}

// beside is a message with what the store keeps beside its payload.
func beside(p *Payload, raw []byte) store.Message {
	return store.Message{
		ID: p.ID, Conversation: p.Conversation, Kind: string(p.Kind), Precedence: p.Precedence, InReplyTo: p.InReplyTo,
		Payload: raw, CreatedAt: p.CreatedAt, Attachments: uses(p.Attachments),
	}
}

// wasQueued tells everybody about a message that is stored, and by when it asks to be answered, if it does.
func (e *Engine) wasQueued(ctx context.Context, l *line, m *store.Message, answerBy time.Time) {
	if e.cfg.Log.Enabled(ctx, slog.LevelInfo) {
		e.cfg.Log.InfoContext(ctx, "message queued", "peer", l.trustDomain, "message_id", m.ID, "serial", m.Serial)
	}
	e.moved(l.firstDue(m, answerBy))
}

// repeated answers a request whose id is stored: the stored message, if the
// request asks for the same.
func (e *Engine) repeated(ctx context.Context, stored store.Message, asked Payload, r desk.SendRequest) (desk.Message, bool, error) {
	p, err := decodeStored(stored.Payload)
	if err != nil {
		return desk.Message{}, false, err
	}
	asked.Version, asked.Serial, asked.CreatedAt, asked.ReleasedBy = p.Version, p.Serial, p.CreatedAt, p.ReleasedBy
	if r.Conversation == "" {
		asked.Conversation = p.Conversation
	}
	if !reflect.DeepEqual(asked, p) {
		return desk.Message{}, false, fmt.Errorf("sending message: the id %s is that of another message: %w", p.ID, store.ErrConflict)
	}
	m, err := e.show(ctx, stored, whole)
	return m, false, err
}

// Acknowledge stores our duty officer's acknowledgement of a received message
// and returns it. peer is a trust domain or our name for the peer. Repeating it
// for the same officer returns the stored one. Errors are a *desk.InvalidError,
// or wrap store.ErrNotFound, store.ErrConflict (another officer was first) or
// store.ErrFull.
func (e *Engine) Acknowledge(ctx context.Context, peer, id string, r desk.AckRequest) (desk.Message, error) {
	l := e.line(peer)
	if l == nil {
		return desk.Message{}, fmt.Errorf("acknowledging message: there is no hotline to %q: %w", oneLine(peer), store.ErrNotFound)
	}
	read, err := e.cfg.Store.GetMessage(ctx, store.In, l.trustDomain, id)
	if err != nil {
		return desk.Message{}, fmt.Errorf("acknowledging message: %w", err)
	}
	received, err := decodeStored(read.Payload)
	if err != nil {
		return desk.Message{}, err
	}
	p := Payload{
		Version: Version, ID: ulid.Make().String(), Serial: 1, From: e.cfg.Identity().TrustDomain(), To: l.trustDomain,
		Conversation: read.Conversation, InReplyTo: id, Kind: message.ACK, Precedence: read.Precedence, TLP: received.TLP,
		CreatedAt: e.cfg.Now().UTC().Truncate(time.Microsecond), Officer: r.Officer, Text: r.Text,
	}
	a, err := e.actor(ctx)
	if err != nil {
		return desk.Message{}, err
	}
	var f faults
	if err := e.markExercise(ctx, &p, &f); err != nil {
		return desk.Message{}, err
	}
	a.name(&p.Officer, &f)
	f = append(f, check(&p)...)
	f.require(r.Officer == "" || strings.TrimSpace(r.Officer) != "", "officer", "must name who acknowledges")
	f.require(read.Kind != KindACK, "id", "an acknowledgement is not acknowledged")
	if len(f) > 0 {
		return desk.Message{}, &desk.InvalidError{Faults: f}
	}
	ack, err := e.enqueue(ctx, l, &p)
	if errors.Is(err, store.ErrConflict) {
		return e.acknowledged(ctx, l, id, &p)
	}
	if err != nil {
		return desk.Message{}, err
	}
	return e.show(ctx, ack, whole)
}

// acknowledged answers the second acknowledgement of a message.
func (e *Engine) acknowledged(ctx context.Context, l *line, id string, again *Payload) (desk.Message, error) {
	read, err := e.cfg.Store.GetMessage(ctx, store.In, l.trustDomain, id)
	if err != nil {
		return desk.Message{}, err
	}
	ack, err := e.cfg.Store.GetMessage(ctx, store.Out, l.trustDomain, read.AcknowledgedBy)
	if err != nil {
		return desk.Message{}, err
	}
	p, err := decodeStored(ack.Payload)
	if err != nil {
		return desk.Message{}, err
	}
	if p.Officer != again.Officer || p.Text != again.Text {
		return desk.Message{}, fmt.Errorf("acknowledging message: %s acknowledged it at %s: %w",
			p.Officer, p.CreatedAt.Format(time.RFC3339), store.ErrConflict)
	}
	return e.show(ctx, ack, whole)
}
