// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package exercise

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/store"
)

// ExerciseReport measures a drill as far as it has come, and signs what it says. When it is
// over, it is the report that the peer countersigned; of a drill of the peer, there is that only.
func (e *Engine) ExerciseReport(ctx context.Context, hotline, name string) (desk.ExerciseReport, error) {
	peer, err := e.peer(hotline)
	if err != nil {
		return desk.ExerciseReport{}, err
	}
	if r, err := e.stored(ctx, peer, name, partOurs); err != nil || r != nil {
		return *orNone(r), err
	}
	d, err := e.read(ctx, peer, name)
	if errors.Is(err, store.ErrNotFound) {
		if r, theirErr := e.stored(ctx, peer, name, partTheirs); theirErr != nil || r != nil {
			return *orNone(r), theirErr
		}
	}
	if err != nil {
		return desk.ExerciseReport{}, err
	}
	return e.measured(ctx, peer, &d)
}

func orNone(r *desk.ExerciseReport) *desk.ExerciseReport { return cmp.Or(r, &desk.ExerciseReport{}) }

// measured measures a drill of ours now, and signs what it says.
func (e *Engine) measured(ctx context.Context, peer string, d *drill) (desk.ExerciseReport, error) {
	answers, err := e.answers(ctx, peer, d.Conversation)
	if err != nil {
		return desk.ExerciseReport{}, err
	}
	now := e.cfg.Now().UTC()
	e.mu.Lock()
	own := e.own
	e.mu.Unlock()
	r := desk.ExerciseReport{Name: d.Name, Hotline: d.Hotline, By: own, Peer: peer, Officer: d.Officer, Conversation: d.Conversation, Start: d.Start, At: now}
	for i := range d.Steps {
		m, err := e.cfg.Store.GetMessage(ctx, store.Out, peer, d.id(i))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return desk.ExerciseReport{}, err
		}
		r.Steps = append(r.Steps, measure(d, i, m, answers[d.id(i)], now))
	}
	payload, err := json.Marshal(r)
	if err != nil {
		return desk.ExerciseReport{}, err
	}
	signed, err := receipt.Sign(e.cfg.Identity(), TypeReport, payload)
	r.JWS = string(signed)
	return r, err
}

// answers finds when the first answer to each of our messages came, by our clock.
func (e *Engine) answers(ctx context.Context, peer, conversation string) (map[string]time.Time, error) {
	out := map[string]time.Time{}
	q := store.MessageQuery{Direction: store.In, Peer: peer, Conversation: conversation, Limit: store.MaxMessages}
	for {
		page, err := e.cfg.Store.ListMessages(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, m := range page.Messages { // newest first
			if m.InReplyTo != "" && m.Kind != "ACK" {
				out[m.InReplyTo] = m.StoredAt
			}
		}
		if page.Next == 0 {
			return out, nil
		}
		q.Before = page.Next
	}
}

// measure compares one step with what was expected. It is pure.
func measure(d *drill, step int, m store.Message, answered, now time.Time) desk.ExerciseStep {
	s := d.Steps[step]
	out := desk.ExerciseStep{
		Step: step + 1, Message: d.id(step), Subject: Subject(s.Subject), Precedence: s.Precedence, Due: d.due(d.Start, step),
		Sent: m.StoredAt, Receipt: m.ReceiptAt, Acknowledged: m.AcknowledgedAt, Answered: answered,
	}
	out.ReceiptKept = kept(m.StoredAt, m.ReceiptAt, s.ReceiptWithinSeconds, now)
	out.AckKept = kept(m.StoredAt, m.AcknowledgedAt, s.AckWithinSeconds, now)
	out.AnswerKept = kept(m.StoredAt, answered, s.AnswerWithinSeconds, now)
	return out
}

// kept says whether a deadline was: Yes, No, Waits, or "" where nothing is expected.
func kept(sent, at time.Time, within int32, now time.Time) string {
	limit := sent.Add(time.Duration(within) * time.Second)
	switch {
	case within == 0:
		return ""
	case !at.IsZero() && !at.After(limit):
		return "Yes"
	case sent.IsZero(), at.IsZero() && now.Before(limit):
		return "Waits"
	}
	return "No"
}
