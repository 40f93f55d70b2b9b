// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package campaign

import (
	"context"
	"fmt"
	"slices"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
)

// row is what a relay shows of a message.
type row struct {
	id, talk string
	serial   int64
	sum      [32]byte
	// receipted: the peer's receipt is verified and stored.
	receipted bool
}

// rows lists a direction of a relay in the order in which its store got them.
func rows(ctx context.Context, client *relayclient.Client, direction string) (all []row, err error) {
	selection := relayclient.Selection{Direction: direction, Limit: 500}
	for {
		page, err := client.List(ctx, selection)
		if err != nil {
			return nil, err
		}
		for i := range page.Messages {
			m := &page.Messages[i]
			all = append(all, row{
				id: m.ID, talk: m.Conversation, serial: m.Serial, sum: sumOf(m.Subject, m.Text),
				receipted: !m.ReceiptAt.IsZero() && m.State != "Queued",
			})
		}
		if page.Next == 0 {
			slices.Reverse(all)
			return all, nil
		}
		selection.Before = page.Next
	}
}

// Verdict counts what must not be. All of it is zero when the promises hold.
type Verdict struct {
	// Lost were confirmed and are not at the peer, or not at their sender any more; or have
	// no verified receipt though nothing is queued.
	Lost int
	// Doubled are shown more than once at the peer.
	Doubled int
	// Reordered arrived before an earlier one of their conversation.
	Reordered int
	// Gaps are serials that are missing on either side.
	Gaps int
	// Altered differ from what was sent, in content, conversation or serial.
	Altered int
	// Strange are at the peer and not at the sender.
	Strange int
	// Damaged are journals that did not verify.
	Damaged int
	// Unnamed are sides on which a rollback was not named.
	Unnamed int
	// Details of the first of them.
	Details []string
}

// Good tells that nothing is wrong.
func (v *Verdict) Good() bool {
	return v.Lost+v.Doubled+v.Reordered+v.Gaps+v.Altered+v.Strange+v.Damaged+v.Unnamed == 0
}

// maxDetails bounds what is told.
const maxDetails = 40

func (v *Verdict) note(n *int, format string, args ...any) {
	*n++
	if len(v.Details) < maxDetails {
		v.Details = append(v.Details, fmt.Sprintf(format, args...))
	}
}

// judge compares what was confirmed with what both relays show, when nothing is queued.
// setBack is the side whose store was restored from an older copy, -1 for none: there a
// message that had not left may have got a later serial since it was confirmed.
func (w *world) judge(ctx context.Context, t *traffic, setBack int) (*Verdict, error) {
	v := &Verdict{}
	for i, s := range w.sides {
		to := w.sides[1-i]
		out, err := rows(ctx, s.Desk(), relayclient.Out)
		if err != nil {
			return nil, err
		}
		in, err := rows(ctx, to.Desk(), relayclient.In)
		if err != nil {
			return nil, err
		}
		t.mu.Lock()
		v.compare(s.Name, t.confirmed[i], out, in, i == setBack)
		t.mu.Unlock()
		check, err := s.Desk().VerifyJournal(ctx, to.Name)
		if err != nil {
			return nil, err
		}
		if check.State != desk.JournalWhole {
			v.note(&v.Damaged, "the journal of %s is %s: %v", s.Name, check.State, check.Damage)
		}
	}
	return v, nil
}

// compare judges one direction: what its sender confirmed, what that relay shows as sent,
// and what the other shows as received, both in the order of their stores.
func (v *Verdict) compare(from string, confirmed map[string]sent, out, in []row, setBack bool) {
	ours, theirs := map[string]row{}, map[string]row{}
	for _, r := range out {
		if _, twice := ours[r.id]; twice {
			v.note(&v.Doubled, "message %s of %s is shown twice at its sender", r.id, from)
		}
		ours[r.id] = r
		if !r.receipted {
			v.note(&v.Lost, "message %s of %s (serial %d) has no verified receipt", r.id, from, r.serial)
		}
	}
	last := map[string]int64{}
	for _, r := range in {
		if _, twice := theirs[r.id]; twice {
			v.note(&v.Doubled, "message %s of %s is shown twice at its receiver", r.id, from)
		}
		theirs[r.id] = r
		sent, known := ours[r.id]
		if !known {
			v.note(&v.Strange, "message %s (serial %d) is not among those of %s", r.id, r.serial, from)
			continue
		}
		if r.sum != sent.sum || r.serial != sent.serial || r.talk != sent.talk {
			v.note(&v.Altered, "message %s of %s differs at its receiver", r.id, from)
		}
		if r.serial < last[r.talk] {
			v.note(&v.Reordered, "message %s of %s (serial %d) arrived after serial %d of its conversation %s", r.id, from, r.serial, last[r.talk], r.talk)
		}
		last[r.talk] = max(last[r.talk], r.serial)
	}
	v.serials(from+", as sent", out)
	v.serials(from+", as received", in)
	v.asConfirmed(from, confirmed, ours, theirs, setBack)
}

// asConfirmed compares with what the clients were told.
func (v *Verdict) asConfirmed(from string, confirmed map[string]sent, ours, theirs map[string]row, setBack bool) {
	talks := map[string][]sent{}
	for id, s := range confirmed {
		mine, here := ours[id]
		_, there := theirs[id]
		switch {
		case !here || !there:
			v.note(&v.Lost, "message %s of %s (serial %d): at its sender %t, at its receiver %t", id, from, s.serial, here, there)
		case mine.sum != s.sum || mine.talk != s.talk || mine.serial != s.serial && !setBack:
			v.note(&v.Altered, "message %s of %s is not what was confirmed", id, from)
		}
		if here {
			s.serial = mine.serial
		}
		talks[s.talk] = append(talks[s.talk], s)
	}
	for talk, list := range talks {
		slices.SortFunc(list, func(a, b sent) int { return a.place - b.place })
		for i := 1; i < len(list); i++ {
			if list[i].serial <= list[i-1].serial {
				v.note(&v.Reordered, "conversation %s of %s: the serial of message %d does not follow that of %d", talk, from, list[i].place, list[i-1].place)
			}
		}
	}
}

// serials wants each number from 1 on exactly once.
func (v *Verdict) serials(whose string, list []row) {
	seen := make(map[int64]bool, len(list))
	var most int64
	for _, r := range list {
		if seen[r.serial] {
			v.note(&v.Doubled, "serial %d of %s is there twice", r.serial, whose)
		}
		seen[r.serial] = true
		most = max(most, r.serial)
	}
	for n := int64(1); n <= most; n++ {
		if !seen[n] {
			v.note(&v.Gaps, "serial %d of %s is missing", n, whose)
		}
	}
}
