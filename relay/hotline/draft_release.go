// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"slices"
	"strconv"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// ReleaseDraft releases exactly the content that the officer was shown, by its hash. The
// last release that is needed makes the draft a message. Repeating is safe: an officer
// counts once.
//
// One transaction holds the release, the end of the draft, the message with its serial,
// and the entries of the journal. A crash before its commit leaves the draft with the
// releases of before; after it, the message is queued and the draft has ended.
func (e *Engine) ReleaseDraft(ctx context.Context, peer, id string, act desk.DraftAct) (desk.Message, error) {
	sent := func(r *record, a actor) bool {
		return r.State == desk.DraftSent && r.hash() == act.Hash && releasedBy(r, a)
	}
	var queued *store.Message
	var l *line // a reload may take the hotline away meanwhile
	m, err := e.onDraft(ctx, peer, id, sent, func(t *draftTx, a actor) (entries []store.JournalEntry, err error) {
		l = t.l
		entries, queued, err = t.release(a, act.Hash)
		return entries, err
	})
	if err == nil && queued != nil {
		by, _ := store.Asks(queued)
		e.wasQueued(ctx, l, queued, by)
	}
	return m, err
}

func releasedBy(r *record, a actor) bool {
	return slices.ContainsFunc(r.Releases, func(o message.ReleaseBy) bool { return o.Identity == a.identity })
}

// release adds the release of an officer, and sends when it is the last that is needed.
func (t *draftTx) release(a actor, hash string) ([]store.JournalEntry, *store.Message, error) {
	p, err := t.r.payload(t.now)
	if err != nil {
		return nil, nil, ofOne(err, true)
	}
	rule := t.l.rule(&p)
	if err := mayRelease(&t.r, a, rule, hash); err != nil {
		return nil, nil, ofOne(err, true)
	}
	var entries []store.JournalEntry
	if !releasedBy(&t.r, a) {
		t.r.Releases = append(t.r.Releases, a.by(t.now))
		entry, err := acted(actReleased, a, t.now, t.d.ID, &t.r)
		if err != nil {
			return nil, nil, err
		}
		entries = append(entries, entry)
	}
	releases := counted(&t.r, rule, p.From, t.e.officers())
	if len(releases) < needed(rule) {
		if len(entries) == 0 {
			return nil, nil, nil
		}
		return entries, nil, t.put()
	}
	p.ReleasedBy = releases[:needed(rule)]
	return t.send(entries, p)
}

// send makes the draft a message. Enqueue comes first: when it refuses, nothing is done.
func (t *draftTx) send(entries []store.JournalEntry, p Payload) ([]store.JournalEntry, *store.Message, error) {
	var m store.Message
	entry, err := enqueued(t, &p, composed(&p), &m)
	if err != nil {
		return nil, nil, err
	}
	t.r.State, t.r.EndedAt = desk.DraftSent, t.now
	sent, err := acted(actSent, actor{}, t.now, t.d.ID, &t.r, "serial", strconv.FormatInt(m.Serial, 10), "releases", strconv.Itoa(len(p.ReleasedBy)))
	if err != nil {
		return nil, nil, err
	}
	return append(entries, entry[0], sent), &m, t.put()
}
