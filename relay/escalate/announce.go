// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package escalate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/notify"
	"github.com/certlink/certlink/relay/store"
)

// announcePage is how many new messages are looked at in one transaction.
const announcePage = 200

// announce notes who is to hear of messages that have arrived. The position that is
// stored with the notices makes it exactly once for each message: a crash before the
// commit leaves both, after it neither. It begins with what arrived after it was
// configured; when it is not configured any more, the position goes.
func (l *line) announce(ctx context.Context, s *settings) error {
	err := l.announceAll(ctx, s)
	if errors.Is(err, store.ErrConflict) {
		return nil // another replica was here; the next round looks again
	}
	return err
}

func (l *line) announceAll(ctx context.Context, s *settings) error {
	position, known, err := l.cfg.Store.Announced(ctx, l.trustDomain)
	switch {
	case err != nil:
		return err
	case len(s.hotline.Delivery) == 0:
		if known {
			return l.move(ctx, position, -1, nil)
		}
		return nil
	case !known:
		if position, err = l.cfg.Store.ArrivedBefore(ctx, l.trustDomain, s.since); err != nil {
			return err
		}
		if err := l.move(ctx, -1, position, nil); err != nil {
			return err
		}
	}
	for ctx.Err() == nil {
		arrived, err := l.cfg.Store.Arrived(ctx, l.trustDomain, position, announcePage)
		if err != nil || len(arrived) == 0 {
			return err
		}
		var notices []store.Notice
		for _, a := range arrived {
			notices = append(notices, l.arrival(s.hotline.Delivery, &a.Message)...)
		}
		last := arrived[len(arrived)-1].Position
		if err := l.move(ctx, position, last, notices); err != nil {
			return err
		}
		position = last
	}
	return ctx.Err()
}

func (l *line) move(ctx context.Context, from, to int64, notices []store.Notice) error {
	err := l.cfg.Line.Change(unfenced{ctx}, l.trustDomain, func(tx store.LineTx) (*store.JournalEntry, error) {
		if err := tx.SetAnnounced(from, to); err != nil {
			return nil, err
		}
		for _, n := range notices {
			if err := tx.PutNotice(n); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	if err != nil {
		return fmt.Errorf("noting new messages: %w", err)
	}
	return nil
}

// arrival are the notices of a message that has arrived: one for each notifier.
func (l *line) arrival(rules []config.Notice, m *store.Message) []store.Notice {
	if quiet(m.Kind) {
		return nil
	}
	var names []string
	for _, r := range rules {
		if !config.For(r.Precedences, m.Precedence) {
			continue
		}
		for _, name := range r.Notify {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	var out []store.Notice
	now := micro(l.cfg.Now())
	for _, name := range names {
		n := store.Notice{
			Peer: l.trustDomain, Event: string(notify.Delivered), Direction: store.In, Message: m.ID, Notifier: name,
			Urgency: urgency(m.Precedence), At: now, NextAt: now,
		}
		n.ID = identify(&n, m.StoredAt)
		out = append(out, n)
	}
	return out
}
