// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/certlink/certlink/relay/store"
)

func listMessages(q store.MessageQuery) *clause {
	c := &clause{}
	c.add(sized + " WHERE true")
	if q.Unread {
		c.add(" AND direction = 'in' AND acknowledged_by = '' AND kind <> 'ACK' AND kind <> 'LINE_CHECK'")
	}
	if q.ID != "" {
		// What has messages has a line.
		c.add(" AND direction IN ('in', 'out') AND peer IN (SELECT peer FROM lines)")
	}
	if q.Conversation != "" {
		c.add(" AND pos IN (SELECT pos FROM messages WHERE peer = ? AND conversation = ? AND conversation <> id", q.Peer, q.Conversation)
		c.add(" UNION ALL SELECT pos FROM messages WHERE direction IN ('in', 'out') AND peer = ? AND id = ? AND conversation = id)", q.Peer, q.Conversation)
	}
	for _, equal := range []struct{ column, value string }{
		{"direction", string(q.Direction)}, {"peer", q.Peer}, {"id", q.ID}, {"conversation", q.Conversation},
	} {
		if equal.value != "" {
			c.add(" AND "+equal.column+" = ?", equal.value)
		}
	}
	switch q.Kind {
	case "":
	case "TERM": // in the text, so that the index of terms fits whatever the plan
		c.add(" AND kind = 'TERM'")
	default:
		c.add(" AND kind = ?", q.Kind)
	}
	if q.Before != 0 {
		c.add(" AND pos < ?", q.Before)
	}
	c.add(" ORDER BY pos DESC LIMIT ?", q.Limit+1)
	return c
}

// mark stores what a message says about others of its sender.
func mark(ctx context.Context, tx pgx.Tx, m *store.Message) error {
	targets := store.Marked(m)
	if len(targets) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `INSERT INTO message_marks (direction, peer, target, pos)
		SELECT m.direction, m.peer, t.target, m.pos FROM messages m CROSS JOIN unnest($4::text[]) AS t (target)
		WHERE m.direction = $1 AND m.peer = $2 AND m.id = $3`, m.Direction, m.Peer, m.ID, targets)
	return err
}

// Marks implements store.Messages.
func (s *Store) Marks(ctx context.Context, d store.Direction, peer string, ids []string) ([]store.Mark, error) {
	if len(ids) > store.MaxMarked {
		return nil, fmt.Errorf("reading marks: %d messages are more than %d", len(ids), store.MaxMarked)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	var marks []store.Mark
	err := s.look(ctx, s.urgent, "reading marks", func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT t.target, m.id, m.serial, m.kind, m.created_at
			FROM unnest($3::text[]) WITH ORDINALITY AS t (target, place)
			CROSS JOIN LATERAL (SELECT k.pos FROM message_marks k WHERE k.direction = $1 AND k.peer = $2 AND k.target = t.target
				ORDER BY k.pos DESC LIMIT $4) k
			JOIN messages m ON m.pos = k.pos
			WHERE NOT EXISTS (SELECT 1 FROM exercise_conversations x
				WHERE x.peer = m.peer AND x.conversation = m.conversation AND NOT EXISTS (
				SELECT 1 FROM messages z WHERE z.direction = m.direction AND z.peer = m.peer AND z.id = t.target AND z.conversation = m.conversation))
			ORDER BY t.place, m.serial DESC`, d, peer, ids, store.MaxMarks)
		if err != nil {
			return err
		}
		var k store.Mark
		var created int64
		_, err = pgx.ForEachRow(rows, []any{&k.Target, &k.ID, &k.Serial, &k.Kind, &created}, func() error {
			k.CreatedAt = instant(created)
			marks = append(marks, k)
			return nil
		})
		return err
	})
	return marks, err
}
