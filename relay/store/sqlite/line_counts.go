// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"database/sql"
	"errors"

	"github.com/certlink/certlink/relay/store"
)

// counts are the serials and sums of a line as a transaction has left them so far: they are
// written once for all of its messages.
type counts struct {
	// moved: the last serial given out is to be written.
	moved bool
	// in messages were received, the last serial of them.
	in, inSerial int64
}

// readSerials reads the last serial given out and the largest received, once.
func (l *lineTx) readSerials() error {
	if l.state.serialsRead {
		return nil
	}
	err := l.raw.QueryRowContext(l.ctx, "SELECT out_serial, in_serial FROM lines WHERE peer = ?", l.peer).Scan(&l.state.out, &l.state.in)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	l.state.serialsRead = true
	return nil
}

// count writes what was counted and collected; the transaction may go on after it.
func (l *lineTx) count() error {
	if err := l.write(); err != nil {
		return err
	}
	c := l.counts
	l.counts = counts{}
	if !c.moved && c.in == 0 {
		return nil
	}
	var out int64
	if c.moved {
		out = l.state.out
	}
	_, err := l.raw.ExecContext(l.ctx, `INSERT INTO lines (peer, out_serial, in_messages, in_serial) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (peer) DO UPDATE SET out_serial = max(out_serial, ?2), in_messages = in_messages + ?3, in_serial = max(in_serial, ?4)`,
		l.peer, out, c.in, c.inSerial)
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
