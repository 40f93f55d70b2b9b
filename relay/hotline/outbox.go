// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/store"
)

// attemptTimeout bounds one attempt to deliver a message.
const attemptTimeout = 20 * time.Second

// deliver does steps 2 to 9 of a stored message, see the package comment. Every
// step may be repeated: a crash after any of them leaves the message queued.
func (l *line) deliver(ctx context.Context, m store.Message) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	e := l.engine
	if err := l.ready(ctx, &m); err != nil {
		return err
	}
	if l.triedBefore(m.ID) {
		e.metrics.redelivered(l.name())
	}
	// The identity is that of this attempt: certificates may have been renewed
	// since the message was written.
	identity := e.cfg.Identity()
	signed, err := receipt.Sign(identity, TypeMessage, m.Payload)
	if err != nil {
		return &localError{doing: "signing a message", err: err}
	}
	answer, err := l.post(over(ctx, m.Precedence), m.ID, signed)
	if err != nil {
		return err
	}
	proven, err := l.verifyReceipt(identity, m, answer)
	if err != nil {
		e.metrics.receiptRefused(l.name())
		return &receiptError{err: err}
	}
	if err := e.cfg.Store.ChangeLine(ctx, l.trustDomain, func(tx store.LineTx) error {
		return tx.PutReceipt(store.Receipt{ID: m.ID, Body: answer, At: proven.StoredAt})
	}); err != nil {
		return &localError{doing: "storing a receipt", err: err}
	}
	e.metrics.delivered(l.name(), m.Precedence, e.cfg.Now().Sub(m.StoredAt))
	e.cfg.Log.InfoContext(ctx, "message delivered", "peer", l.trustDomain, "message_id", m.ID, "serial", m.Serial)
	return nil
}

// triedBefore tells whether a message was sent since the start, and notes that
// it is sent now.
func (l *line) triedBefore(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.tried[id]
	l.tried[id] = true
	return before
}

// verifyReceipt returns what a receipt proves: signed by this peer, for exactly
// this message.
func (l *line) verifyReceipt(v receipt.Verifier, m store.Message, answer []byte) (ReceiptPayload, error) {
	opened, err := receipt.Open(v, TypeReceipt, answer, l.engine.cfg.Now())
	if err != nil {
		return ReceiptPayload{}, err
	}
	if opened.TrustDomain != l.trustDomain {
		return ReceiptPayload{}, fmt.Errorf("comparing receipt: it is signed by %q, not by %q", opened.TrustDomain, l.trustDomain)
	}
	if len(opened.Payload) == 0 {
		return ReceiptPayload{}, errors.New("comparing receipt: it is empty")
	}
	return decodeReceipt(opened.Payload, m.Payload)
}
