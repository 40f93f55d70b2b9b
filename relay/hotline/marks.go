// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// Bounds of what is looked at to say how a message stands: corrections of corrections so
// deep, and so many marks of all the messages of a page.
const (
	maxDepth      = 8
	maxMarksOfAll = 4096
)

// standings are the marks of messages of one direction and peer, by what they are about.
//
// A mark counts only if its serial is larger than that of what it is about: the sender's
// own order is that in which it spoke, whatever order the messages came in. So marks
// cannot go round in a circle, though a lying sender may choose ids as it likes.
type standings map[string][]store.Mark

// of says how a message stands: its marks in force and those that were withdrawn, the
// newest first, and what they come to.
func (s standings) of(id string, serial int64) (string, []desk.Mark) {
	seen := map[string]desk.Mark{}
	s.collect(id, serial, seen, maxDepth)
	marks := slices.SortedFunc(maps.Values(seen), func(a, b desk.Mark) int { return cmp.Compare(b.Serial, a.Serial) })
	inForce := func(kind message.Kind) bool {
		return slices.ContainsFunc(marks, func(m desk.Mark) bool { return m.Kind == string(kind) && !m.Withdrawn })
	}
	for _, stands := range []struct {
		kind message.Kind
		name string
	}{{message.Cancel, desk.Cancelled}, {message.Correct, desk.Corrected}, {message.Release, desk.Released}, {message.Extend, desk.Extended}} {
		if inForce(stands.kind) {
			return stands.name, marks
		}
	}
	return "", marks
}

// collect takes the marks of a message, and those of its corrections that are corrections.
func (s standings) collect(id string, serial int64, into map[string]desk.Mark, depth int) {
	for _, m := range s[id] {
		if _, known := into[m.ID]; known || m.Serial <= serial || depth == 0 {
			continue
		}
		withdrawn := s.withdrawn(m, depth-1)
		into[m.ID] = desk.Mark{Kind: m.Kind, ID: m.ID, Serial: m.Serial, At: m.CreatedAt, Withdrawn: withdrawn}
		if m.Kind != string(message.Correct) || withdrawn {
			continue
		}
		// What corrects a correction corrects the message; what cancels it does not cancel it.
		further := map[string]desk.Mark{}
		s.collect(m.ID, m.Serial, further, depth-1)
		for _, f := range further {
			if f.Kind == string(message.Correct) {
				into[f.ID] = f
			}
		}
	}
}

// withdrawn tells whether a mark was cancelled by a message that was not cancelled itself.
func (s standings) withdrawn(m store.Mark, depth int) bool {
	return depth > 0 && slices.ContainsFunc(s[m.ID], func(c store.Mark) bool {
		return c.Kind == string(message.Cancel) && c.Serial > m.Serial && !s.withdrawn(c, depth-1)
	})
}

// standings reads the marks of messages of one direction and peer, and the marks of those.
func (e *Engine) standings(ctx context.Context, d store.Direction, peer string, ids []string) (standings, error) {
	s, total := standings{}, 0
	for range maxDepth {
		ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { _, known := s[id]; return known })
		if len(ids) == 0 || total > maxMarksOfAll {
			break
		}
		for _, id := range ids {
			s[id] = nil
		}
		var next []string
		for part := range slices.Chunk(ids, store.MaxMarked) {
			marks, err := e.cfg.Store.Marks(ctx, d, peer, part)
			if err != nil {
				return nil, err
			}
			for _, m := range marks {
				s[m.Target] = append(s[m.Target], m)
				if !slices.Contains(next, m.ID) {
					next = append(next, m.ID)
				}
			}
			total += len(marks)
		}
		ids = next
	}
	return s, nil
}

// mark adds to messages how they stand.
func (e *Engine) mark(ctx context.Context, messages []desk.Message) error {
	type line struct{ direction, peer string }
	ids := map[line][]string{}
	for _, m := range messages {
		at := line{m.Direction, m.Peer}
		ids[at] = append(ids[at], m.ID)
	}
	of := map[line]standings{}
	for at, ids := range ids {
		s, err := e.standings(ctx, store.Direction(at.direction), at.peer, ids)
		if err != nil {
			return err
		}
		of[at] = s
	}
	for i := range messages {
		m := &messages[i]
		m.Standing, m.Marks = of[line{m.Direction, m.Peer}].of(m.ID, m.Serial)
		if err := e.remark(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// remark names references of a message that count for nothing, or not yet.
func (e *Engine) remark(ctx context.Context, m *desk.Message) error {
	if !slices.Contains(store.MarkingKinds, m.Kind) {
		return nil
	}
	for _, r := range m.References {
		text, err := e.remarkOn(ctx, m, r)
		if err != nil {
			return err
		}
		if text != "" {
			m.Remarks = append(m.Remarks, text)
		}
	}
	return nil
}

func (e *Engine) remarkOn(ctx context.Context, m *desk.Message, r message.Reference) (string, error) {
	own, other := store.Direction(m.Direction), store.In
	if own == store.In {
		other = store.Out
	}
	if r.By == message.ByReceiver {
		return "it is about " + r.ID + ", a message of the other side: it changes nothing there", nil
	}
	named, err := e.cfg.Store.GetMessage(ctx, own, m.Peer, r.ID)
	switch {
	case err == nil && named.Serial >= m.Serial:
		return fmt.Sprintf("it is about %s, which its sender said later or at once (serial %d): it changes nothing there", r.ID, named.Serial), nil
	case err == nil && m.Exercise != "" && m.Suspicious == "" && named.Conversation != m.Conversation:
		return "it is about " + r.ID + ", which is not of this exercise: it changes nothing there", nil
	case err == nil && r.Serial != 0 && r.Serial != named.Serial:
		return fmt.Sprintf("it gives %s the serial %d; it has %d", r.ID, r.Serial, named.Serial), nil
	case err == nil:
		return "", nil
	case !errors.Is(err, store.ErrNotFound):
		return "", err
	}
	switch _, err := e.cfg.Store.GetMessage(ctx, other, m.Peer, r.ID); {
	case err == nil:
		return "it is about " + r.ID + ", a message of the other side: it changes nothing there", nil
	case !errors.Is(err, store.ErrNotFound):
		return "", err
	}
	return "it is about " + r.ID + ", which is not here yet", nil
}
