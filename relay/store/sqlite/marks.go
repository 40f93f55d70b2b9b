// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/certlink/certlink/relay/store"
)

// selectMessages is the statement of a list. The indexes are named, because statistics
// of a database that grows from nothing mislead.
func selectMessages(q store.MessageQuery) *clause {
	c := &clause{}
	c.add(fullMessage)
	switch {
	case q.Unread:
		c.add(" INDEXED BY messages_unanswered WHERE direction = 'in' AND acknowledged_by = '' AND kind <> 'ACK' AND kind <> 'LINE_CHECK'")
	case q.ID != "":
		// What has messages has a line.
		c.add(" WHERE direction IN ('in', 'out') AND peer IN (SELECT peer FROM lines) AND id = ?", q.ID)
	case q.Conversation != "":
		c.add(` WHERE pos IN (SELECT pos FROM messages INDEXED BY messages_talk WHERE peer = ?1 AND conversation = ?2 AND conversation <> id
			UNION ALL SELECT pos FROM messages WHERE direction IN ('in', 'out') AND peer = ?1 AND id = ?2 AND conversation = id)`, q.Peer, q.Conversation)
	case q.Kind == "TERM" && q.Direction != "" && q.Peer != "":
		c.add(" INDEXED BY messages_terms WHERE kind = 'TERM'")
	case q.Peer != "" && q.Direction != "":
		c.add(" WHERE 1")
	case q.Peer != "":
		c.add(" WHERE pos IN (")
		c.addThose(store.In, q)
		c.add(" UNION ALL ")
		c.addThose(store.Out, q)
		c.add(" ORDER BY pos DESC LIMIT ?)", q.Limit+1)
	case q.Direction != "":
		// The newest of each line, and the newest of those. What has messages has a line.
		c.add(" WHERE pos IN (SELECT j.value FROM lines CROSS JOIN json_each((SELECT json_group_array(pos) FROM (")
		c.addThose(q.Direction, q)
		c.add(" ORDER BY pos DESC LIMIT ?))) AS j ORDER BY j.value DESC LIMIT ?) ORDER BY pos DESC", q.Limit+1, q.Limit+1)
		return c
	default:
		c.add(" WHERE 1")
	}
	for _, equal := range []struct{ column, value string }{
		{"direction", string(q.Direction)}, {"peer", q.Peer}, {"id", q.ID}, {"conversation", q.Conversation}, {"kind", q.Kind},
	} {
		if equal.value != "" {
			c.add(" AND "+equal.column+" = ?", equal.value)
		}
	}
	if q.Before != 0 {
		c.add(" AND pos < ?", q.Before)
	}
	c.add(" ORDER BY pos DESC LIMIT ?", q.Limit+1)
	return c
}

// addThose adds a statement for the positions of the messages of a direction that q selects, by peer and kind. Where q
// names no peer it is that of one of the lines.
func (c *clause) addThose(d store.Direction, q store.MessageQuery) {
	c.add("SELECT pos FROM messages INDEXED BY messages_by_both WHERE direction = ? AND peer = ", string(d))
	if q.Peer == "" {
		c.add("lines.peer")
	} else {
		c.add("?", q.Peer)
	}
	if q.Kind != "" {
		c.add(" AND kind = ?", q.Kind)
	}
	if q.Before != 0 {
		c.add(" AND pos < ?", q.Before)
	}
}

// mark stores what a message, which has a position, says about others of its sender.
func mark(ctx context.Context, tx querier, pos int64, m *store.Message) error {
	for _, target := range store.Marked(m) {
		if _, err := tx.ExecContext(ctx, "INSERT INTO message_marks (direction, peer, target, pos) VALUES (?, ?, ?, ?)", m.Direction, m.Peer, target, pos); err != nil {
			return err
		}
	}
	return nil
}

// Marks implements store.Messages.
func (s *Store) Marks(ctx context.Context, d store.Direction, peer string, ids []string) ([]store.Mark, error) {
	if len(ids) > store.MaxMarked {
		return nil, fmt.Errorf("reading marks: %d messages are more than %d", len(ids), store.MaxMarked)
	}
	var marks []store.Mark
	err := s.look(ctx, "reading marks", func(tx *transaction) error {
		for _, id := range ids {
			of, err := marksOf(ctx, tx, d, peer, id)
			if err != nil {
				return err
			}
			marks = append(marks, of...)
		}
		return nil
	})
	return marks, err
}

func marksOf(ctx context.Context, tx *transaction, d store.Direction, peer, id string) (marks []store.Mark, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT k.target, m.id, m.serial, m.kind, m.created_at FROM message_marks k CROSS JOIN messages m ON m.pos = k.pos
		WHERE k.direction = ? AND k.peer = ? AND k.target = ?
		AND NOT EXISTS (SELECT 1 FROM exercise_conversations x
			WHERE x.peer = m.peer AND x.conversation = m.conversation AND NOT EXISTS (
			SELECT 1 FROM messages t WHERE t.direction = m.direction AND t.peer = m.peer AND t.id = k.target AND t.conversation = m.conversation))
		ORDER BY k.pos DESC LIMIT ?`, d, peer, id, store.MaxMarks)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var k store.Mark
		var created int64
		if err := rows.Scan(&k.Target, &k.ID, &k.Serial, &k.Kind, &created); err != nil {
			return nil, err
		}
		k.CreatedAt = instant(created)
		marks = append(marks, k)
	}
	slices.SortFunc(marks, func(a, b store.Mark) int { return cmp.Compare(b.Serial, a.Serial) })
	return marks, rows.Err()
}
