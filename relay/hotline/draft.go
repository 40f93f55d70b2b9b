// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/store"
)

// draftTx is one draft while a transaction looks at it.
type draftTx struct {
	store.LineTx
	e *Engine
	l *line
	// d and r are the draft as it is stored.
	d   store.Draft
	r   record
	now time.Time
}

func decodeRecord(d store.Draft) (record, error) {
	var r record
	if err := json.Unmarshal(d.Body, &r); err != nil {
		return record{}, fmt.Errorf("reading draft %s: %w", d.ID, err)
	}
	return r, nil
}

// put stores the draft as it is now.
func (t *draftTx) put() (err error) {
	t.d.Waiting = t.r.State == desk.DraftWaiting
	if t.d.Body, err = json.Marshal(&t.r, json.Deterministic(true)); err != nil {
		return fmt.Errorf("encoding draft %s: %w", t.d.ID, err)
	}
	return t.PutDraft(t.d)
}

// end ends the draft in a state and returns the entry of the act.
func (t *draftTx) end(state, act string, a actor, reason string) ([]store.JournalEntry, error) {
	if err := t.DropAttachments(store.Out, t.d.ID); err != nil {
		return nil, err
	}
	t.r.State, t.r.EndedAt, t.r.EndedBy, t.r.Reason = state, t.now, a.identity, reason
	entry, err := acted(act, a, t.now, t.d.ID, &t.r, "reason", reason)
	if err != nil {
		return nil, err
	}
	return []store.JournalEntry{entry}, t.put()
}

// draftStep looks at a draft, decides, and changes it; entries and draft are one
// transaction. An error means that nothing was changed, and leaves other changes alone
// unless it is one of the store.
type draftStep func(t *draftTx, a actor) ([]store.JournalEntry, error)

// onDraft runs a step on a draft of ours that waits. One that has expired ends here, and
// the step is refused. repeat tells whether a draft that has ended is what the step would
// have made of it.
//
// One transaction: after a crash before its commit the draft is as it was; after it, the
// act is in the journal, and whoever repeats it gets the same answer.
func (e *Engine) onDraft(ctx context.Context, peer, id string, repeat func(r *record, a actor) bool, step draftStep) (desk.Message, error) {
	l := e.line(peer)
	if l == nil {
		return desk.Message{}, fmt.Errorf("reading draft: there is no hotline to %q: %w", oneLine(peer), store.ErrNotFound)
	}
	var done draftTx
	var refused error
	err := l.changeAll(ctx, func(tx store.LineTx) ([]store.JournalEntry, error) {
		t := &draftTx{LineTx: tx, e: e, l: l, now: e.cfg.Now().UTC().Truncate(time.Microsecond)}
		entries, ended, err := t.run(ctx, id, repeat, step)
		if err != nil {
			return nil, err
		}
		done, refused = *t, ended
		return entries, nil
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return desk.Message{}, err
	}
	e.draftsChanged()
	return e.showDraft(ctx, done.d)
}

// run is onDraft in the transaction. refused is an error after a change that stays.
func (t *draftTx) run(ctx context.Context, id string, repeat func(*record, actor) bool, step draftStep) (entries []store.JournalEntry, refused, err error) {
	a, err := t.e.actor(ctx)
	if err != nil {
		return nil, nil, ofOne(err, true)
	}
	if t.d, err = t.Draft(id); err != nil {
		return nil, nil, ofOne(err, false)
	}
	if t.r, err = decodeRecord(t.d); err != nil {
		return nil, nil, ofOne(err, true)
	}
	left, err := t.left(id)
	switch {
	case err != nil:
		return nil, nil, err
	case left:
		refused = conflictf("draft %s left before our database was set back to a backup; the peer has given the message back", id)
		entries, err = t.end(desk.DraftSent, actSent, actor{}, "it left before our database was set back")
		return entries, refused, err
	case t.r.State != desk.DraftWaiting && repeat(&t.r, a):
		return nil, nil, nil
	case t.r.State != desk.DraftWaiting:
		return nil, nil, ofOne(conflictf("draft %s does not wait any more: it is %s since %s", id, t.r.State, t.r.EndedAt.Format(time.RFC3339)), true)
	case !t.d.ExpiresAt.After(t.now):
		refused = conflictf("draft %s expired at %s: write it again", id, t.d.ExpiresAt.Format(time.RFC3339))
		entries, err = t.end(desk.DraftExpired, actExpired, actor{}, "")
		return entries, refused, err
	}
	entries, err = step(t, a)
	return entries, nil, err
}

// left tells whether a draft that waits is a message already: it was sent after the backup to
// which our database was set back, and the peer gave it back.
func (t *draftTx) left(id string) (bool, error) {
	if t.r.State != desk.DraftWaiting {
		return false, nil
	}
	_, _, err := t.Proof(store.Out, id)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// toDraft stores a message that must be released as a draft. It returns the stored one,
// and false, when the same officer asked for the same before.
//
// One transaction: a crash before its commit leaves nothing, and the officer repeats; after
// it, the draft waits, whatever happens to its drafter.
func (e *Engine) toDraft(ctx context.Context, l *line, p Payload, warnings []string) (m desk.Message, created bool, err error) {
	raw, err := content(p)
	if err == nil {
		err = fitsReleased(p)
	}
	if err != nil {
		return desk.Message{}, false, err
	}
	l.undrafted.Store(false)
	var stored store.Draft
	err = l.changeAll(ctx, func(tx store.LineTx) ([]store.JournalEntry, error) {
		t := &draftTx{LineTx: tx, e: e, l: l, now: e.cfg.Now().UTC().Truncate(time.Microsecond)}
		entries, err := t.draft(ctx, p, raw, warnings)
		stored, created = t.d, len(entries) > 0
		return entries, err
	})
	if err != nil {
		return desk.Message{}, false, err
	}
	if created {
		e.cfg.Log.InfoContext(ctx, "message waits for its release", "peer", l.trustDomain, "draft_id", p.ID)
		e.draftsChanged()
	}
	m, err = e.showDraft(ctx, stored)
	return m, created, err
}

func (t *draftTx) draft(ctx context.Context, p Payload, raw []byte, warnings []string) ([]store.JournalEntry, error) {
	a, err := t.e.actor(ctx)
	if err == nil {
		err = a.must(config.Draft, "drafting a message that must be released")
	}
	if err != nil {
		return nil, ofOne(err, true)
	}
	before, err := t.Draft(p.ID)
	switch {
	case err == nil:
		t.d = before
		r, err := decodeRecord(before)
		if err == nil && (r.Drafter.Identity != a.identity || !bytes.Equal(r.Content, raw)) {
			err = conflictf("sending message: the id %s is that of another draft", p.ID)
		}
		return nil, ofOne(err, err != nil)
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	}
	switch n, err := t.WaitingDrafts(); {
	case err != nil:
		return nil, err
	case n >= store.MaxDrafts:
		return nil, ofOne(conflictf("%d drafts wait for their release on this hotline already: release, reject or withdraw some", n), true)
	}
	t.r = record{Version: 1, Content: raw, Drafter: a.by(t.now), Warnings: warnings, State: desk.DraftWaiting}
	t.d = store.Draft{Peer: t.l.trustDomain, ID: p.ID, Precedence: p.Precedence, CreatedAt: t.now, ExpiresAt: t.expiry(&p)}
	return t.written(actDrafted, a, &p)
}

func (t *draftTx) expiry(p *Payload) time.Time {
	return t.now.Add(time.Duration(t.l.rule(p).ExpirySeconds) * time.Second)
}

// written stores the draft with new content and returns the entry of the act.
func (t *draftTx) written(act string, a actor, p *Payload) ([]store.JournalEntry, error) {
	if err := holdFiles(t, t.d.ID, p.Attachments); err != nil {
		return nil, err
	}
	entry, err := acted(act, a, t.now, t.d.ID, &t.r,
		"kind", string(p.Kind), "precedence", p.Precedence, "quorum", strconv.Itoa(needed(t.l.rule(p))), "warnings", warned(t.r.Warnings))
	if err != nil {
		return nil, err
	}
	return []store.JournalEntry{entry}, t.put()
}

func warned(warnings []string) string {
	if len(warnings) == 0 {
		return ""
	}
	return strconv.Itoa(len(warnings))
}

// EditDraft puts other content in the place of a draft, whose drafter alone may do so. All
// releases fall away, and the time to its expiry begins anew.
func (e *Engine) EditDraft(ctx context.Context, peer, id string, req desk.SendRequest) (desk.Message, error) {
	l := e.line(peer)
	if l == nil {
		return desk.Message{}, fmt.Errorf("editing draft: there is no hotline to %q: %w", oneLine(peer), store.ErrNotFound)
	}
	if req.ID != "" && req.ID != id || req.Hotline != "" && req.Hotline != l.name() {
		return desk.Message{}, &desk.InvalidError{Faults: []desk.Fault{{Field: "id", Reason: "a draft keeps its id and its hotline: withdraw it and write another one"}}}
	}
	req.ID, req.Hotline = id, l.name()
	_, p, err := e.compose(ctx, req)
	if err != nil {
		return desk.Message{}, err
	}
	raw, err := content(*p)
	if err == nil {
		err = fitsReleased(*p)
	}
	if err != nil {
		return desk.Message{}, err
	}
	warnings := e.lint(ctx, l, p)
	return e.onDraft(ctx, peer, id, never, func(t *draftTx, a actor) ([]store.JournalEntry, error) {
		if err := t.ownDraft(a, "editing"); err != nil {
			return nil, ofOne(err, true)
		}
		if bytes.Equal(t.r.Content, raw) {
			return nil, nil
		}
		t.r.Content, t.r.Warnings, t.r.Releases, t.r.Drafter = raw, warnings, nil, a.by(t.now)
		t.d.Precedence, t.d.ExpiresAt = p.Precedence, t.expiry(p)
		return t.written(actEdited, a, p)
	})
}

// never: a draft that has ended cannot be edited.
func never(*record, actor) bool { return false }

// ownDraft refuses whoever is not the drafter.
func (t *draftTx) ownDraft(a actor, doing string) error {
	if err := a.must(config.Draft, doing+" a draft"); err != nil {
		return err
	}
	if a.identity != t.r.Drafter.Identity {
		return forbidden("%s a draft is for its drafter, %s; another officer rejects it", doing, t.r.Drafter.Identity)
	}
	return nil
}

// RejectDraft ends a draft, with a reason. It takes the role Release.
func (e *Engine) RejectDraft(ctx context.Context, peer, id string, act desk.DraftAct) (desk.Message, error) {
	if err := checkReason(act.Reason, true); err != nil {
		return desk.Message{}, err
	}
	return e.onDraft(ctx, peer, id, endedBy(desk.DraftRejected), func(t *draftTx, a actor) ([]store.JournalEntry, error) {
		if err := a.must(config.ReleaseRole, "rejecting a draft"); err != nil {
			return nil, ofOne(err, true)
		}
		return t.end(desk.DraftRejected, actRejected, a, act.Reason)
	})
}

// WithdrawDraft ends a draft, which its drafter alone may do.
func (e *Engine) WithdrawDraft(ctx context.Context, peer, id string, act desk.DraftAct) (desk.Message, error) {
	if err := checkReason(act.Reason, false); err != nil {
		return desk.Message{}, err
	}
	return e.onDraft(ctx, peer, id, endedBy(desk.DraftWithdrawn), func(t *draftTx, a actor) ([]store.JournalEntry, error) {
		if err := t.ownDraft(a, "withdrawing"); err != nil {
			return nil, ofOne(err, true)
		}
		return t.end(desk.DraftWithdrawn, actWithdrawn, a, act.Reason)
	})
}

func endedBy(state string) func(*record, actor) bool {
	return func(r *record, a actor) bool { return r.State == state && r.EndedBy == a.identity }
}

func checkReason(reason string, required bool) error {
	var f faults
	f.require(!required || strings.TrimSpace(reason) != "", "reason", "is required")
	f.require(len(reason) <= desk.MaxReasonBytes && !strings.ContainsFunc(reason, unicode.IsControl), "reason", "must be one line of at most %d bytes", desk.MaxReasonBytes)
	if len(f) > 0 {
		return &desk.InvalidError{Faults: f}
	}
	return nil
}
