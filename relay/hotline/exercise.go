// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/exercise"
	"github.com/certlink/certlink/relay/store"
)

// markExercise makes a message of ours part of the exercise that its sender names, or
// refuses what would mix it with real traffic.
func (e *Engine) markExercise(ctx context.Context, p *Payload, f *faults) error {
	of, begun, err := e.exerciseOf(ctx, p)
	if err != nil {
		return err
	}
	if field, reason := exercise.Mark(p, of, begun); field != "" {
		f.require(false, field, "%s", reason)
	}
	return nil
}

// exerciseOf finds the exercise that the conversation of a message belongs to, and whether
// it has begun: by what was registered, and by what the message answers.
func (e *Engine) exerciseOf(ctx context.Context, p *Payload) (of string, begun bool, err error) {
	if p.Conversation != "" {
		if of, err = e.cfg.Store.ExerciseOf(ctx, p.To, p.Conversation); err != nil || of != "" {
			return of, true, err
		}
	}
	if p.InReplyTo != "" {
		answered, err := e.cfg.Store.GetMessage(ctx, store.In, p.To, p.InReplyTo)
		if errors.Is(err, store.ErrNotFound) {
			return "", false, nil // another check says so
		}
		if err != nil {
			return "", false, err
		}
		m, err := decodeStored(answered.Payload)
		return m.Exercise, true, err
	}
	if p.Conversation == "" {
		return "", false, nil
	}
	page, err := e.cfg.Store.ListMessages(ctx, store.MessageQuery{Peer: p.To, Conversation: p.Conversation, Limit: 1})
	if err != nil || len(page.Messages) == 0 {
		return "", false, err
	}
	m, err := decodeStored(page.Messages[0].Payload)
	return m.Exercise, true, err
}

// noteExercise notes the conversation of an exercise with its first message, of ours or of
// the peer, in the transaction that stores it. It must be a conversation of its own, begun
// by this message or named as the relay names those of drills: else a peer could make a real
// conversation one in which nothing real can be said.
func noteExercise(tx store.LineTx, m *store.Message) error {
	if !bytes.Contains(m.Payload, []byte(`"exercise"`)) {
		return nil
	}
	p, err := decodeStored(m.Payload)
	if err != nil {
		return err
	}
	return noteExerciseOf(tx, &p)
}

// noteExerciseOf is noteExercise of a message that has been read.
func noteExerciseOf(tx store.LineTx, p *Payload) error {
	if p.Exercise == "" || p.Conversation != p.ID && !strings.HasPrefix(p.Conversation, exercise.Conversation) {
		return nil
	}
	err := tx.PutExercise(p.Conversation, p.Exercise)
	if errors.Is(err, store.ErrConflict) {
		return nil // it stays with the first; the message is shown as suspicious
	}
	return err
}

// showExercise shows what belongs to an exercise as such, and what does not fit together.
func (e *Engine) showExercise(ctx context.Context, s *store.Message, p *Payload, m *desk.Message) error {
	m.Exercise, m.Subject = p.Exercise, exercise.Shown(p)
	if s.Direction != store.In {
		return nil
	}
	of, err := e.cfg.Store.ExerciseOf(ctx, s.Peer, s.Conversation)
	m.Suspicious = exercise.Suspicious(p, of)
	return err
}
