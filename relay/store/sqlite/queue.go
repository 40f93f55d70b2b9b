// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/certlink/certlink/relay/store"
)

// queuedOf selects the key in the queue of a message of ours, by its id.
const queuedOf = `(peer, urgency, serial) IN (SELECT peer, urgency, serial FROM messages WHERE direction = 'out' AND peer = ? AND id = ?)`

// settle puts a message of ours that was stored at a position into the queue, or stores its receipt.
func (l *lineTx) settle(pos int64, m *store.Message) error {
	if m.Receipt != nil {
		return l.insertReceipts(receiptRow{pos: pos, r: &store.Receipt{ID: m.ID, Body: m.Receipt, Proof: m.Proof, At: m.ReceiptAt}})
	}
	row := queueRow{id: m.ID, place: queuePlace{urgency: m.Urgency, serial: m.Serial, pos: pos}}
	if m.Conversation != m.ID {
		row.talk = m.Conversation
	}
	l.state.least = max(l.state.least, m.Urgency)
	l.collected.queue = append(l.collected.queue, row)
	return nil
}

// queuePlace is where a message stands in the queue of its line, and its position.
type queuePlace struct {
	urgency     int
	serial, pos int64
}

// queueRow is a message that enters the queue.
type queueRow struct {
	id    string
	place queuePlace
	talk  any // the conversation, nil where it is that of the message alone
}

// insertQueued are statements for 1, 2, 4 … messages.
var insertQueued = insertsOf("queued (peer, urgency, serial, pos, talk)", queueColumns, "")

const queueColumns = 5

// unqueue takes messages of ours out of the queue, and returns the positions of those that were in it.
func (l *lineTx) unqueue(ids []string) (waiting map[string]int64, err error) {
	if err := l.write(); err != nil {
		return nil, err
	}
	if waiting, err = l.unqueueKnown(ids); waiting != nil || err != nil {
		return waiting, err
	}
	for _, id := range ids {
		delete(l.state.queued, id)
	}
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

// mostRuns of messages that stand next to each other leave the queue by a statement for each run.
const mostRuns = 8

// unqueueKnown is unqueue for messages whose places are known; nil if those of some are not.
func (l *lineTx) unqueueKnown(ids []string) (map[string]int64, error) {
	waiting, places := make(map[string]int64, len(ids)), make([]queuePlace, 0, len(ids))
	for _, id := range ids {
		p, known := l.state.queued[id]
		if !known {
			return nil, nil //nolint:nilnil // as the comment says
		}
		if _, twice := waiting[id]; !twice {
			waiting[id], places = p.pos, append(places, p)
		}
	}
	runs := runsOf(places)
	if len(runs) > mostRuns {
		return nil, nil //nolint:nilnil // as the comment says
	}
	for _, r := range runs {
		done, err := l.tx.ExecContext(l.ctx, "DELETE FROM queued WHERE peer = ? AND urgency = ? AND serial BETWEEN ? AND ?", l.peer, r.urgency, r.first, r.last)
		if err != nil {
			return nil, err
		}
		if n, err := done.RowsAffected(); err != nil || n != r.last-r.first+1 {
			return nil, errors.Join(err, fmt.Errorf("messages %d to %d of urgency %d: %d of them were in the queue", r.first, r.last, r.urgency, n))
		}
	}
	for id := range waiting {
		delete(l.state.queued, id)
	}
	return waiting, nil
}

// run are messages next to each other in the queue, by their serials.
type run struct {
	urgency     int
	first, last int64
}

// runsOf is pure: the runs of places, which it sorts.
func runsOf(places []queuePlace) (runs []run) {
	slices.SortFunc(places, func(a, b queuePlace) int {
		return cmp.Or(cmp.Compare(a.urgency, b.urgency), cmp.Compare(a.serial, b.serial))
	})
	for _, p := range places {
		if n := len(runs); n > 0 && runs[n-1].urgency == p.urgency && runs[n-1].last+1 == p.serial {
			runs[n-1].last++
			continue
		}
		runs = append(runs, run{p.urgency, p.serial, p.serial})
	}
	return runs
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
	if l.state.leastRead && l.state.least <= urgency {
		return false, nil
	}
	if !l.queueRead {
		l.state.least = 0
		err := l.tx.QueryRowContext(l.ctx, "SELECT urgency FROM queued WHERE peer = ? ORDER BY urgency DESC LIMIT 1", l.peer).Scan(&l.state.least)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return false, err
		}
		l.queueRead, l.state.leastRead = true, true
	}
	return l.state.least > urgency, nil
}

// hurryTalk find the messages of a conversation, and not all that are less urgent: without being told which
// index, SQLite looks through the whole queue.
var hurryTalk = []string{
	"UPDATE messages SET urgency = ?1 WHERE pos IN (SELECT pos FROM queued INDEXED BY queued_talk WHERE peer = ?2 AND talk = ?3 AND urgency > ?1)",
	"UPDATE queued INDEXED BY queued_talk SET urgency = ?1 WHERE peer = ?2 AND talk = ?3 AND urgency > ?1",
}

// hurry makes earlier messages of a conversation as urgent as a new one. The first of most
// conversations is found by its id.
func (l *lineTx) hurry(conversation string, urgency int) error {
	if less, err := l.lessUrgent(urgency); !less || err != nil {
		return err
	}
	for _, statement := range hurryTalk {
		done, err := l.tx.ExecContext(l.ctx, statement, urgency, l.peer, conversation)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil {
			return err
		} else if n > 0 {
			l.state.queued = nil
		}
	}
	var pos int64
	err := l.tx.QueryRowContext(l.ctx, `UPDATE queued SET urgency = ?1 WHERE (peer, urgency, serial) IN (SELECT peer, urgency, serial FROM messages
		WHERE direction = 'out' AND peer = ?2 AND id = ?3 AND conversation = id AND urgency > ?1) RETURNING pos`, urgency, l.peer, conversation).Scan(&pos)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		l.state.queued = nil
		_, err = l.tx.ExecContext(l.ctx, "UPDATE messages SET urgency = ? WHERE pos = ?", urgency, pos)
	}
	return err
}
