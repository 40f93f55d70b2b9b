// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"database/sql"
	"errors"

	"github.com/certlink/certlink/relay/store"
)

// serials are those of a line: the last given out, the largest received, and how many below that are missing.
//
// The row of a line is written when one is missing that was not, or the other way round, and before messages
// of ours get other serials; the rest follows from the messages.
type serials struct {
	read          bool
	out, in       int64
	missing       int64
	stored        bool  // the line has a row,
	storedMissing int64 // which says that so many are missing
}

// received counts a message.
func (n *serials) received(serial int64) {
	if serial <= n.in {
		n.missing--
		return
	}
	n.missing += serial - n.in - 1
	n.in = serial
}

// readSerials reads the last serial given out and the largest received, once.
func (l *lineTx) readSerials() error {
	if l.state.serials.read {
		return nil
	}
	var n serials
	err := l.tx.QueryRowContext(l.ctx, `SELECT max(out_serial, coalesce((SELECT max(serial) FROM messages WHERE direction = 'out' AND peer = ?1), 0)),
		max(in_serial, coalesce((SELECT max(serial) FROM messages WHERE direction = 'in' AND peer = ?1), 0)), in_serial - in_messages
		FROM lines WHERE peer = ?1`, l.peer).Scan(&n.out, &n.in, &n.missing)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	n.read, n.stored, n.storedMissing = true, err == nil, n.missing
	l.state.serials = n
	return nil
}

// count writes what was counted and collected; the transaction may go on after it.
func (l *lineTx) count() error {
	if err := errors.Join(l.write(), l.writeArrived()); err != nil {
		return err
	}
	if n := &l.state.serials; !l.moved || n.stored && n.storedMissing == n.missing {
		return nil
	}
	return l.writeSerials()
}

func (l *lineTx) writeSerials() error {
	n := &l.state.serials
	_, err := l.raw.ExecContext(l.ctx, `INSERT INTO lines (peer, out_serial, in_messages, in_serial) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (peer) DO UPDATE SET out_serial = max(out_serial, ?2), in_messages = ?3, in_serial = ?4`,
		l.peer, n.out, n.in-n.missing, n.in)
	n.stored, n.storedMissing, l.moved = true, n.missing, false
	return err
}

// keepReserve looks once for each transaction whether the disk has room for messages of the peer.
func (l *lineTx) keepReserve() error {
	if l.spacious {
		return nil
	}
	err := l.s.keepReserve(2, messageWrite)
	l.spacious = err == nil
	return err
}

// chain is signerChain for chains most of which are the same.
func (l *lineTx) chain(der []byte) (int64, error) {
	if id, known := l.shared.chains[string(der)]; known {
		return id, nil
	}
	id, err := signerChain(l.ctx, l.raw, der)
	if err == nil && len(l.shared.chains) < mostChains {
		l.shared.chains[string(der)] = id
	}
	return id, err
}

// Enqueue implements store.LineTx.
func (l *lineTx) Enqueue(compose func(serial int64) (store.Message, error)) (store.Message, error) {
	return l.enqueue(compose)
}

// Accept implements store.LineTx.
func (l *lineTx) Accept(m store.Message) (store.Message, bool, error) {
	m.Peer = l.peer
	return l.accept(m)
}
