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
	"strconv"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/problem"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/store"
)

// Handler takes the batches of peers: POST Path on the link port. The request's
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
	body, err := e.take(w, r)
	if err != nil {
		e.reply(w, r, err)
		return
	}
	w.Header().Set("Content-Type", ContentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body))) // the peer reads it into memory of its size
	_, _ = w.Write(body)                                      // when the peer is gone it sends again and gets the same receipts
}

func (e *Engine) take(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	peer, ok := access.PeerFrom(r.Context())
	if !ok || !peer.Relay {
		return nil, refuse(http.StatusForbidden, "only the relay of a peer may send messages")
	}
	l := e.lineTo(peer.TrustDomain)
	if l == nil {
		return nil, refuse(http.StatusForbidden, "there is no Hotline for %s here", peer.TrustDomain)
	}
	request, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	return l.underway.once(r.Context(), request, func() ([]byte, error) { return l.receive(r.Context(), request, l.judge) })
}

// readBody bounds a request before anything of it is looked at.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != ContentType {
		return nil, refuse(http.StatusUnsupportedMediaType, "a batch is %s", ContentType)
	}
	if r.ContentLength > wire.MaxBytes {
		return nil, refuse(http.StatusRequestEntityTooLarge, "a batch has at most %d bytes", wire.MaxBytes)
	}
	body, err := readAll(http.MaxBytesReader(w, r.Body, wire.MaxBytes), r.ContentLength)
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, refuse(http.StatusRequestEntityTooLarge, "a batch has at most %d bytes", wire.MaxBytes)
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the batch ended early")
	}
	return body, nil
}

// firstRoom is what is taken for a body before any of it has come, in bytes.
const firstRoom = 64 << 10

// readAll reads a body whose announced length is within bounds, or unknown. The room for it
// grows with what has come: who announces much and sends nothing takes little. It ends at
// the announced length, which net/http holds a body to, and is io.ErrUnexpectedEOF before it.
func readAll(r io.Reader, length int64) ([]byte, error) {
	if length <= 0 {
		return io.ReadAll(r)
	}
	body := make([]byte, 0, min(length, firstRoom))
	for {
		n, err := io.ReadFull(r, body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case errors.Is(err, io.EOF):
			return body, io.ErrUnexpectedEOF
		case err != nil || int64(len(body)) == length:
			return body, err
		}
		larger := make([]byte, len(body), min(length, 2*int64(len(body))))
		copy(larger, body)
		body = larger
	}
}

// Receive takes a batch of the peer with this trust domain, whoever carried it: it stores
// its messages and returns the answer with their receipts. That the peer said all of it is
// proven by its signed checkpoint. Errors are for people; nothing was stored then.
func (e *Engine) Receive(ctx context.Context, trustDomain string, request []byte) ([]byte, error) {
	l := e.lineTo(trustDomain)
	if l == nil {
		return nil, fmt.Errorf("taking a batch: there is no hotline to %q: %w", oneLine(trustDomain), store.ErrNotFound)
	}
	if len(request) > wire.MaxBytes {
		return nil, refuse(http.StatusRequestEntityTooLarge, "a batch has at most %d bytes", wire.MaxBytes)
	}
	return l.receive(ctx, request, l.judgeCarried)
}

// receive does steps a to c of the package comment; judge gets how the batch stands to what we hold of the
// peer's journal.
func (l *line) receive(ctx context.Context, request []byte, judge func(state string)) ([]byte, error) {
	identity := l.engine.cfg.Identity()
	b, err := wire.Decode(request)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "%v", err)
	}
	o, err := l.openPeer(identity, b)
	switch {
	case errors.Is(err, receipt.ErrMalformed):
		return nil, refuse(http.StatusBadRequest, "%v", err)
	case err != nil:
		return nil, refuse(http.StatusForbidden, "the checkpoint is refused: %v", err)
	}
	if b.Want != nil {
		return l.giveBack(ctx, o)
	}
	lost, err := l.behind(ctx, b.Held)
	if err != nil {
		return nil, err
	}
	if lost {
		l.suspect()
		l.handOverOf(ctx)
		return l.respond(ctx, &response{state: wire.Recovering})
	}
	in, err := l.read(ctx, identity, o)
	if err != nil {
		return nil, err
	}
	if urgent(in) {
		defer l.engine.cfg.Preempt.Begin()()
	}
	return l.accept(ctx, o, in, judge)
}

// reply answers with a problem. What is our own fault is logged, not told.
func (e *Engine) reply(w http.ResponseWriter, r *http.Request, err error) {
	a := asAnswer(err)
	e.cfg.Log.WarnContext(r.Context(), "batch refused", "status", a.status, "error", oneLine(err.Error()))
	problem.Write(w, a.status, a.detail)
}

func asAnswer(err error) *answer {
	if a, ok := errors.AsType[*answer](err); ok {
		return a
	}
	switch {
	case errors.Is(err, store.ErrConflict):
		return &answer{http.StatusConflict, "another message is stored here under this id or serial"}
	case errors.Is(err, store.ErrIncomplete):
		return &answer{statusIncomplete, "attachments: not all of them are stored here yet; send them first"}
	case errors.Is(err, store.ErrFull):
		return &answer{http.StatusInsufficientStorage, "the storage is full; nothing was stored"}
	default:
		return &answer{http.StatusInternalServerError, "the messages could not be stored; send them again"}
	}
}
