// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/certlink/certlink/relay/store"
)

// queuedOf selects the key in the queue of a message of ours, by its id.
const queuedOf = `(peer, urgency, serial) IN (SELECT peer, urgency, serial FROM messages WHERE direction = 'out' AND peer = ? AND id = ?)`

// settle puts a message of ours that was stored at a position into the queue, or stores its receipt.
func (l *lineTx) settle(pos int64, m *store.Message) error {
	if m.Receipt != nil {
		return l.insertReceipt(pos, &store.Receipt{ID: m.ID, Body: m.Receipt, Proof: m.Proof, At: m.ReceiptAt})
	}
	var talk *string
	if m.Conversation != m.ID {
		talk = &m.Conversation
	}
	l.queue.least = max(l.queue.least, m.Urgency)
	_, err := l.tx.ExecContext(l.ctx, "INSERT INTO queued (peer, urgency, serial, pos, talk) VALUES (?, ?, ?, ?, ?)",
		l.peer, m.Urgency, m.Serial, pos, talk)
	return err
}

// unqueue takes messages of ours out of the queue, and returns the positions of those that were in it.
func (l *lineTx) unqueue(ids []string) (waiting map[string]int64, err error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	const those = " FROM json_each(?) AS j CROSS JOIN messages AS m ON m.direction = 'out' AND m.peer = ? AND m.id = j.value"
	if waiting, err = l.positions("SELECT m.id, q.pos"+those+" CROSS JOIN queued AS q ON q.peer = m.peer AND q.urgency = m.urgency AND q.serial = m.serial",
		string(list), l.peer); err != nil {
		return nil, err
	}
	_, err = l.tx.ExecContext(l.ctx, "DELETE FROM queued WHERE (peer, urgency, serial) IN (SELECT m.peer, m.urgency, m.serial"+those+")", string(list), l.peer)
	return waiting, err
}

func (l *lineTx) positions(query string, args ...any) (found map[string]int64, err error) {
	rows, err := l.tx.QueryContext(l.ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	found = map[string]int64{}
	for rows.Next() {
		var id string
		var pos int64
		if err := rows.Scan(&id, &pos); err != nil {
			return nil, err
		}
		found[id] = pos
	}
	return found, rows.Err()
}

// queue is what a transaction knows of the queue: the urgency of the least urgent in it, or of
// one that was, once read.
type queue struct {
	read  bool
	least int
}

// renumber gives a queued message another serial.
func (l *lineTx) renumber(id string, serial int64) error {
	var pos int64
	err := l.tx.QueryRowContext(l.ctx, "UPDATE queued SET serial = ? WHERE "+queuedOf+" RETURNING pos", serial, l.peer, id).Scan(&pos)
	if err != nil {
		return fmt.Errorf("renumbering message %q, which must be queued: %w", id, err)
	}
	_, err = l.tx.ExecContext(l.ctx, "UPDATE messages SET serial = ? WHERE pos = ?", serial, pos)
	return err
}

// lessUrgent tells whether messages that are less urgent may be queued. It looks once for each
// transaction.
func (l *lineTx) lessUrgent(urgency int) (bool, error) {
	if !l.queue.read {
		err := l.tx.QueryRowContext(l.ctx, "SELECT urgency FROM queued WHERE peer = ? ORDER BY urgency DESC LIMIT 1", l.peer).Scan(&l.queue.least)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return false, err
		}
		l.queue.read = true // what this transaction has put into it is in what was read
	}
	return l.queue.least > urgency, nil
}

// hurry makes earlier messages of a conversation as urgent as a new one. The first of most
// conversations is found by its id.
func (l *lineTx) hurry(conversation string, urgency int) error {
	if less, err := l.lessUrgent(urgency); !less || err != nil {
		return err
	}
	for _, statement := range []string{
		"UPDATE messages SET urgency = ?1 WHERE pos IN (SELECT pos FROM queued WHERE peer = ?2 AND talk = ?3 AND urgency > ?1)",
		"UPDATE queued SET urgency = ?1 WHERE peer = ?2 AND talk = ?3 AND urgency > ?1",
	} {
		if _, err := l.tx.ExecContext(l.ctx, statement, urgency, l.peer, conversation); err != nil {
			return err
		}
	}
	var pos int64
	err := l.tx.QueryRowContext(l.ctx, `UPDATE queued SET urgency = ?1 WHERE (peer, urgency, serial) IN (SELECT peer, urgency, serial FROM messages
		WHERE direction = 'out' AND peer = ?2 AND id = ?3 AND conversation = id AND urgency > ?1) RETURNING pos`, urgency, l.peer, conversation).Scan(&pos)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		_, err = l.tx.ExecContext(l.ctx, "UPDATE messages SET urgency = ? WHERE pos = ?", urgency, pos)
	}
	return err
}
