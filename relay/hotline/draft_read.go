// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"fmt"
	"time"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/store"
)

// ListDrafts returns a page of drafts, newest first; hotline "" means those of all.
func (e *Engine) ListDrafts(ctx context.Context, hotline string, q store.DraftQuery) (desk.MessageList, error) {
	if hotline != "" {
		l := e.lineNamed(hotline)
		if l == nil {
			return desk.MessageList{}, fmt.Errorf("listing drafts: there is no hotline %q: %w", oneLine(hotline), store.ErrNotFound)
		}
		q.Peer = l.trustDomain
	}
	page, err := e.cfg.Store.ListDrafts(ctx, q)
	if err != nil {
		return desk.MessageList{}, err
	}
	list := desk.MessageList{Messages: make([]desk.Message, 0, len(page.Drafts)), Next: page.Next}
	for _, d := range page.Drafts {
		m, err := e.showDraft(ctx, d)
		if err != nil {
			return desk.MessageList{}, err
		}
		list.Messages = append(list.Messages, m)
	}
	return list, nil
}

// GetDraft returns one draft. peer is a trust domain or our name for the peer. The error
// wraps store.ErrNotFound if there is none.
func (e *Engine) GetDraft(ctx context.Context, peer, id string) (desk.Message, error) {
	if l := e.line(peer); l != nil {
		peer = l.trustDomain
	}
	var d store.Draft
	err := e.cfg.Store.ReadLine(ctx, peer, func(r store.LineReader) (err error) {
		d, err = r.Draft(id)
		return err
	})
	if err != nil {
		return desk.Message{}, err
	}
	return e.showDraft(ctx, d)
}

// showDraft makes a draft what the desk sees; one that was sent is the message.
func (e *Engine) showDraft(ctx context.Context, d store.Draft) (desk.Message, error) {
	r, err := decodeRecord(d)
	if err != nil {
		return desk.Message{}, err
	}
	p, err := decodeStored(r.Content)
	if err != nil {
		return desk.Message{}, fmt.Errorf("showing draft %s: %w", d.ID, err)
	}
	shown := &desk.Draft{
		Hash: r.hash(), State: r.State, Drafter: r.Drafter, Releases: r.Releases,
		ExpiresAt: d.ExpiresAt, EndedAt: r.EndedAt, EndedBy: r.EndedBy, Reason: r.Reason,
	}
	var m desk.Message
	if r.State == desk.DraftSent {
		stored, err := e.cfg.Store.GetMessage(ctx, store.Out, d.Peer, d.ID)
		if err != nil {
			return desk.Message{}, err
		}
		if m, err = e.show(ctx, stored, whole); err != nil {
			return desk.Message{}, err
		}
	} else {
		m, err = e.show(ctx, store.Message{
			Direction: store.Out, Peer: d.Peer, ID: d.ID, Conversation: p.Conversation, Kind: string(p.Kind), Precedence: p.Precedence,
			InReplyTo: p.InReplyTo, Payload: r.Content, CreatedAt: r.Drafter.At, StoredAt: d.CreatedAt,
		}, listed)
		if err != nil {
			return desk.Message{}, err
		}
		m.State, m.ReceiptDue, m.AcknowledgeDue = desk.StateDraft, time.Time{}, time.Time{}
	}
	m.Draft, m.Warnings = shown, r.Warnings
	if l := e.lineTo(d.Peer); l != nil {
		rule := l.rule(&p)
		shown.Quorum, shown.DrafterMayRelease = int32(needed(rule)), rule.DrafterMayRelease //nolint:gosec // at most 3
		if r.State == desk.DraftWaiting {
			shown.Releases = counted(&r, rule, p.From, e.officers())
		}
	}
	return m, nil
}
