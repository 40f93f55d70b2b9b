// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package escalate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/notify"
	"github.com/certlink/certlink/relay/store"
)

// maxTextBytes of a message go to a notifier at most; the rest is at the desk.
const maxTextBytes = 16 << 10

// compose writes what a notifier is told: of each message as much as it is to have. A
// message that cannot be read is told by its id.
func (l *line) compose(ctx context.Context, s *settings, name string, batch []store.Notice) (notify.Notification, error) {
	include := config.IncludeHeader
	if conf := find(s.hotline.Notifiers, name); conf != nil {
		include = conf.Include
	}
	first := batch[0]
	n := notify.Notification{
		ID: first.Batch, Event: notify.Event(first.Event), At: l.cfg.Now(), From: l.cfg.TrustDomain(),
		Hotline: s.hotline.Name, Peer: s.peer.Name, PeerDomain: l.trustDomain,
	}
	if n.ID == "" {
		n.ID = first.ID
	}
	for _, one := range batch {
		m, err := l.cfg.Store.GetMessage(ctx, one.Direction, l.trustDomain, one.Message)
		if err != nil && ctx.Err() != nil {
			return notify.Notification{}, err
		}
		n.Items = append(n.Items, l.item(ctx, one, &m, include))
	}
	// What is real comes before what is exercised.
	slices.SortStableFunc(n.Items, func(a, b notify.Item) int { return cmp.Compare(min(len(a.Exercise), 1), min(len(b.Exercise), 1)) })
	return n, nil
}

// item is a message as a notifier is told of it. It is one of an exercise only if all
// marks say so, and we know its conversation as one: in doubt it is real.
func (l *line) item(ctx context.Context, n store.Notice, m *store.Message, include config.Include) notify.Item {
	i := notify.Item{
		ID: n.ID, At: n.At, Stage: n.Stage, Step: n.Step, Occurrence: n.Occurrence, Deadline: n.Deadline, Direction: string(n.Direction), Message: n.Message,
		Serial: m.Serial, Conversation: m.Conversation, Kind: m.Kind, Precedence: m.Precedence, StoredAt: m.StoredAt,
	}
	var p message.Message
	if len(m.Payload) == 0 || json.Unmarshal(m.Payload, &p) != nil {
		return i
	}
	i.TLP = p.TLP
	if p.Exercise != "" && p.RSIT == message.TestCode {
		if of, err := l.cfg.Store.ExerciseOf(ctx, l.trustDomain, m.Conversation); err == nil && of == p.Exercise {
			i.Exercise = of
		}
	}
	if include == config.IncludeFullWithRed || include == config.IncludeFull && knownNotRed(p.TLP) {
		i.Subject, i.Text = p.Subject, p.Text
		if len(i.Text) > maxTextBytes {
			i.Text = strings.ToValidUTF8(i.Text[:maxTextBytes], "") + "\n[…]"
		}
	}
	return i
}

// knownNotRed is false for TLP:RED, and for what we do not know.
func knownNotRed(tlp string) bool {
	switch tlp {
	case "CLEAR", "GREEN", "AMBER", "AMBER+STRICT":
		return true
	}
	return false
}

// forPeople says in one line what is wrong with our own side.
func forPeople(err error) string {
	switch {
	case errors.Is(err, store.ErrFull):
		return "our own storage is full: make room on the relay's volume; notifiers are told without a record"
	case errors.Is(err, context.DeadlineExceeded):
		return "our own storage is too slow; notifiers are told without a record"
	}
	return clip(err.Error()) + "; notifiers are told without a record"
}

// TestTimeout bounds a test of a notifier.
const TestTimeout = notify.Timeout + 5*time.Second
