// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/problem"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/store"
)

// Handler takes the messages of peers: POST Path on the link port. The request's
// context says who the peer is (package access).
func (e *Engine) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+Path, e.receive)
	return mux
}

// answer is a refusal: its status and one line for the peer's people.
type answer struct {
	status int
	detail string
}

func (a *answer) Error() string { return a.detail }

func refuse(status int, format string, args ...any) error {
	return &answer{status: status, detail: oneLine(fmt.Sprintf(format, args...))}
}

func (e *Engine) receive(w http.ResponseWriter, r *http.Request) {
	proof, duplicate, err := e.take(w, r)
	if err != nil {
		e.reply(w, r, err)
		return
	}
	status := http.StatusCreated
	if duplicate {
		status = http.StatusOK
	}
	w.Header().Set("Content-Type", ContentType)
	w.WriteHeader(status)
	_, _ = w.Write(proof) // when the peer is gone it sends again and gets the same receipt
}

// take does steps 4 to 6, see the package comment, and returns the receipt.
func (e *Engine) take(w http.ResponseWriter, r *http.Request) (proof []byte, duplicate bool, err error) {
	peer, ok := access.PeerFrom(r.Context())
	if !ok || !peer.Relay {
		return nil, false, refuse(http.StatusForbidden, "only the relay of a peer may send messages")
	}
	l := e.lineTo(peer.TrustDomain)
	if l == nil {
		return nil, false, refuse(http.StatusForbidden, "there is no Hotline for %s here", peer.TrustDomain)
	}
	signed, err := readBody(w, r)
	if err != nil {
		return nil, false, err
	}
	identity := e.cfg.Identity()
	m, p, err := e.open(identity, peer.TrustDomain, signed)
	if err != nil {
		return nil, false, err
	}
	if err := l.complete(r.Context(), p.Attachments); err != nil {
		return nil, false, err
	}
	// Receipts carry whole microseconds, as the store keeps them.
	m.StoredAt = e.cfg.Now().UTC().Truncate(time.Microsecond)
	m.ReceiptAt = m.StoredAt
	content, err := json.Marshal(receiptFor(p, m.Payload, m.StoredAt))
	if err != nil {
		return nil, false, fmt.Errorf("encoding receipt: %w", err)
	}
	if m.Receipt, err = receipt.Sign(identity, TypeReceipt, content); err != nil {
		return nil, false, err
	}
	var stored store.Message
	if err := l.change(r.Context(), accepted(m, content, &stored, &duplicate)); err != nil {
		return nil, false, fmt.Errorf("storing message %s of %s: %w", p.ID, peer.TrustDomain, err)
	}
	if !duplicate {
		e.received(r.Context(), l, m)
		return m.Receipt, false, nil
	}
	return reissue(identity, stored)
}

// readBody bounds a request before anything of it is looked at.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != ContentType {
		return nil, refuse(http.StatusUnsupportedMediaType, "a message is %s", ContentType)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, receipt.MaxBytes))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, refuse(http.StatusRequestEntityTooLarge, "a message has at most %d bytes", receipt.MaxBytes)
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the message ended early")
	}
	return body, nil
}

// open verifies that the message is signed by the very peer that sends it, and
// addressed to us.
func (e *Engine) open(identity Identity, peer string, signed []byte) (store.Message, Payload, error) {
	opened, err := receipt.Open(identity, TypeMessage, signed, e.cfg.Now())
	switch {
	case errors.Is(err, receipt.ErrMalformed), errors.Is(err, receipt.ErrType):
		return store.Message{}, Payload{}, refuse(http.StatusBadRequest, "%v", err)
	case err != nil:
		return store.Message{}, Payload{}, refuse(http.StatusForbidden, "the signature is refused: %v", err)
	case opened.TrustDomain != peer:
		return store.Message{}, Payload{}, refuse(http.StatusForbidden, "a message signed by %s cannot come from %s", opened.TrustDomain, peer)
	}
	p, err := message.Decode(opened.Payload)
	switch {
	case err != nil:
		return store.Message{}, Payload{}, refuse(http.StatusUnprocessableEntity, "%v", err)
	case p.From != peer:
		return store.Message{}, Payload{}, refuse(http.StatusUnprocessableEntity, "from: must be %s, who signed", peer)
	case p.To != identity.TrustDomain():
		return store.Message{}, Payload{}, refuse(http.StatusUnprocessableEntity, "to: this is %s", identity.TrustDomain())
	}
	return store.Message{
		Direction: store.In, Peer: peer, ID: p.ID, Serial: p.Serial,
		Conversation: p.Conversation, Kind: string(p.Kind), Precedence: p.Precedence, InReplyTo: p.InReplyTo,
		Payload: opened.Payload, Signed: signed, CreatedAt: p.CreatedAt, Attachments: uses(p.Attachments),
	}, p, nil
}

// received notes a message that is new and stored.
func (e *Engine) received(ctx context.Context, l *line, m store.Message) {
	e.metrics.received(l.name())
	e.cfg.Log.InfoContext(ctx, "message received", "peer", l.trustDomain, "message_id", m.ID, "serial", m.Serial)
	e.changed()
}

// reissue answers a repeated message: what the stored receipt says, signed with
// our present certificate. The stored one may have been signed by one that has
// expired since, which the peer would have to refuse.
func reissue(identity Identity, stored store.Message) ([]byte, bool, error) {
	content, err := receipt.Content(stored.Receipt)
	if err != nil {
		return nil, true, err
	}
	proof, err := receipt.Sign(identity, TypeReceipt, content)
	return proof, true, err
}

// reply answers with a problem. What is our own fault is logged, not told.
func (e *Engine) reply(w http.ResponseWriter, r *http.Request, err error) {
	var a *answer
	switch {
	case errors.As(err, &a):
	case errors.Is(err, store.ErrConflict):
		a = &answer{http.StatusConflict, "another message is stored here under this id or serial"}
	case errors.Is(err, store.ErrFull):
		a = &answer{http.StatusInsufficientStorage, "the storage is full; nothing was stored"}
	default:
		a = &answer{http.StatusInternalServerError, "the message could not be stored; send it again"}
	}
	e.cfg.Log.WarnContext(r.Context(), "message refused", "status", a.status, "error", oneLine(err.Error()))
	problem.Write(w, a.status, a.detail)
}
