// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// Situation is a message about which somebody is, or may become, silent.
type Situation struct {
	Direction store.Direction
	// Message is its id.
	Message    string
	Stage      config.Stage
	Precedence string
	// Deadline after which it counts as silence.
	Deadline time.Time
}

// unread are kinds that no duty officer acknowledges.
var unread = []string{KindACK, string(message.LineCheckKind)}

// waits are the messages of a line that wait for something, each list the most urgent first.
type waits struct {
	noReceipt, noAck []store.Message  // ours
	unread           []store.Message  // the peer's
	unanswered       []store.Awaiting // ours
}

// Situations returns what somebody owes on the line with a peer, with its deadline: the
// most urgent store.MaxMessages of each stage. ErrNotFound if there is no such line.
func (e *Engine) Situations(ctx context.Context, trustDomain string) ([]Situation, error) {
	l := e.lineTo(trustDomain)
	if l == nil {
		return nil, fmt.Errorf("looking for silence: there is no hotline to %q: %w", oneLine(trustDomain), store.ErrNotFound)
	}
	return l.situations(ctx)
}

func (l *line) situations(ctx context.Context) ([]Situation, error) {
	var w waits
	var err error
	db := l.engine.cfg.Store
	if w.noReceipt, w.noAck, err = db.Outstanding(ctx, l.trustDomain, store.MaxMessages); err != nil {
		return nil, err
	}
	if w.unread, err = db.Unread(ctx, l.trustDomain, store.MaxMessages); err != nil {
		return nil, err
	}
	if w.unanswered, err = db.Unanswered(ctx, l.trustDomain, store.MaxMessages); err != nil {
		return nil, err
	}
	hotline, _ := l.settings()
	return w.situations(hotline.Deadlines, l.sightings.since(l.engine.cfg.Now(), &w)), nil
}

// situations says by when each message is due at each stage. since says from when on a
// message waits.
func (w *waits) situations(deadlines []config.Deadline, since func(store.Message) time.Time) []Situation {
	var out []Situation
	add := func(m store.Message, stage config.Stage, deadline time.Time) {
		out = append(out, Situation{Direction: m.Direction, Message: m.ID, Stage: stage, Precedence: m.Precedence, Deadline: deadline})
	}
	for _, m := range w.noReceipt {
		add(m, config.StageReceipt, since(m).Add(periodsOf(deadlines, m.Precedence).receipt))
	}
	for _, m := range slices.Concat(w.noReceipt, w.noAck) {
		if !slices.Contains(unread, m.Kind) && m.AcknowledgedBy == "" {
			add(m, config.StageAcknowledgement, since(m).Add(periodsOf(deadlines, m.Precedence).acknowledgement))
		}
	}
	for _, a := range w.unanswered {
		deadline := a.AnswerBy
		if deadline.IsZero() {
			deadline = since(a.Message).Add(periodsOf(deadlines, a.Precedence).answer)
		}
		add(a.Message, config.StageAnswer, deadline)
	}
	for _, m := range w.unread {
		if !slices.Contains(unread, m.Kind) {
			add(m, config.StageInbox, since(m).Add(periodsOf(deadlines, m.Precedence).acknowledgement))
		}
	}
	return out
}

// periods are how long a precedence may take.
type periods struct{ receipt, acknowledgement, answer time.Duration }

// allowed returns how long receipt and acknowledgement of a precedence may take; zero for
// one that we do not know.
func allowed(deadlines []config.Deadline, precedence string) (receipt, acknowledgement time.Duration) {
	if !slices.Contains(message.Precedences, precedence) {
		return 0, 0
	}
	p := periodsOf(deadlines, precedence)
	return p.receipt, p.acknowledgement
}

// usualDeadlines hold where nothing is configured.
var usualDeadlines = config.DefaultDeadlines()

// periodsOf returns how long a precedence may take: as configured, else the default. One
// that we do not know takes as long as ROUTINE.
func periodsOf(deadlines []config.Deadline, precedence string) periods {
	if !slices.Contains(message.Precedences, precedence) {
		precedence = "ROUTINE"
	}
	var p periods
	for _, list := range [...][]config.Deadline{deadlines, usualDeadlines} {
		for i := range list {
			if d := &list[i]; d.Precedence == precedence {
				p.receipt = cmp.Or(p.receipt, time.Duration(d.ReceiptSeconds)*time.Second)
				p.acknowledgement = cmp.Or(p.acknowledgement, time.Duration(d.AcknowledgementSeconds)*time.Second)
				p.answer = cmp.Or(p.answer, time.Duration(d.AnswerSeconds)*time.Second)
			}
		}
	}
	return p
}
