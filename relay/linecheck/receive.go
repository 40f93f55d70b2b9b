// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/problem"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/store"
)

// maxBody is the longest statement that a peer may send here.
const maxBody = 64 << 10

// pathMemory is how long a path of the peer that is not checked any more counts as one of
// those that it may have.
const pathMemory = 30 * 24 * time.Hour

const (
	// slotTolerance is how late a check may be sent and still count for its slot.
	slotTolerance = 3 * time.Hour
	// clockTolerance is how far the time at which a peer says to have sent a check may lie from our own.
	clockTolerance = 3 * time.Hour
)

// countsAt is the time under which both sides keep a check: its slot, or when it was sent if that
// was more than slotTolerance away. It is pure, and of nothing but what the sender has signed: how
// long the check was under way, and what the receiver's clock says, cannot make a month of it in which the
// other side does not count it.
func countsAt(slot, sent time.Time) time.Time {
	if apart := sent.Sub(slot); apart > slotTolerance || apart < -slotTolerance {
		return sent
	}
	return slot
}

// keptAt is when a check of the peer counts here. One that was sent more than clockTolerance away from our
// own time counts when it came: a slot of the year 9999 would never be summed up, and one of
// each year would be a day of its own. A new one for a month whose record is made is refused: the peer, which has
// no receipt then, counts it as missed, as this record does.
func keptAt(c *Check, now time.Time) (time.Time, error) {
	if apart := now.Sub(c.SentAt); apart > clockTolerance || apart < -clockTolerance {
		return now.UTC().Truncate(time.Microsecond), nil
	}
	at := countsAt(c.Slot, c.SentAt)
	if over := monthAfter(at); !now.Before(lastTakenAt(over)) {
		return time.Time{}, refuse(http.StatusConflict, "sent_at: it is %s here, and checks of %s were taken until %s: compare the clocks of both sides",
			now.UTC().Format(time.RFC3339), at.Format("2006-01"), lastTakenAt(over).Format(time.RFC3339))
	}
	return at, nil
}

// refusal is what a peer is told instead of a receipt.
type refusal struct {
	status int
	detail string
}

func (r *refusal) Error() string { return r.detail }

func refuse(status int, format string, args ...any) error {
	return &refusal{status: status, detail: clip(fmt.Sprintf(format, args...))}
}

// Handler takes line checks and availability records of peers on the link port. The
// request's context says who the peer is (package access) and over which path it came
// (package link).
func (e *Engine) Handler() http.Handler {
	mux := http.NewServeMux()
	checks, records := func(l *line) *rate.Limiter { return l.rate }, func(l *line) *rate.Limiter { return l.recordRate }
	mux.HandleFunc("POST "+Path, e.answer(checks, e.takeCheck))
	mux.HandleFunc("POST "+PathAvailability, e.answer(records, e.takeRecord))
	mux.HandleFunc("POST "+PathCountersignature, e.answer(records, e.takeCountersignature))
	for path, take := range e.cfg.Others {
		mux.HandleFunc("POST "+path, e.answer(records, func(l *line, r *http.Request, signed []byte) ([]byte, error) {
			answer, err := take(r.Context(), l.trustDomain, signed)
			if bad, ok := errors.AsType[*desk.InvalidError](err); ok {
				return nil, refuse(http.StatusUnprocessableEntity, "%v", bad)
			}
			return answer, err
		}))
	}
	return mux
}

// answer bounds a request, opens who sent it, and writes what take returns.
func (e *Engine) answer(limit func(*line) *rate.Limiter, take func(l *line, r *http.Request, signed []byte) ([]byte, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := e.receive(w, r, limit, take)
		if err == nil {
			w.Header().Set("Content-Type", contentType)
			_, _ = w.Write(body) // when the peer is gone it sends again
			return
		}
		told, ok := errors.AsType[*refusal](err)
		switch {
		case ok:
		case errors.Is(err, store.ErrFull):
			told = &refusal{http.StatusInsufficientStorage, "the storage is full; nothing was stored"}
		case errors.Is(err, store.ErrConflict):
			told = &refusal{http.StatusConflict, "another statement is stored here under this name"}
		default:
			told = &refusal{http.StatusInternalServerError, "the statement could not be taken; send it again"}
		}
		e.cfg.Log.WarnContext(r.Context(), "statement about the line refused", "path", r.URL.Path, "status", told.status, "error", clip(err.Error()))
		problem.Write(w, told.status, told.detail)
	}
}

func (e *Engine) receive(w http.ResponseWriter, r *http.Request, limit func(*line) *rate.Limiter, take func(l *line, r *http.Request, signed []byte) ([]byte, error)) ([]byte, error) {
	peer, ok := access.PeerFrom(r.Context())
	if !ok || !peer.Relay {
		return nil, refuse(http.StatusForbidden, "only the relay of a peer may ask for this")
	}
	l := e.line(peer.TrustDomain)
	if l == nil {
		return nil, refuse(http.StatusForbidden, "there is no Hotline for %s here", peer.TrustDomain)
	}
	if !limit(l).Allow() {
		return nil, refuse(http.StatusTooManyRequests, "too many statements about the line at once")
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != contentType {
		return nil, refuse(http.StatusUnsupportedMediaType, "a statement is %s", contentType)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, refuse(http.StatusRequestEntityTooLarge, "a statement has at most %d bytes", maxBody)
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the statement ended early")
	}
	return take(l, r, body)
}

// open verifies that a statement is signed by the very peer that sends it.
func (l *line) open(typ string, signed []byte) (receipt.Opened, error) {
	opened, err := receipt.Open(l.engine.cfg.Identity(), typ, signed, l.engine.cfg.Now())
	switch {
	case errors.Is(err, receipt.ErrMalformed), errors.Is(err, receipt.ErrType):
		return receipt.Opened{}, refuse(http.StatusBadRequest, "%v", err)
	case err != nil:
		return receipt.Opened{}, refuse(http.StatusForbidden, "the signature is refused: %v", err)
	case opened.TrustDomain != l.trustDomain:
		return receipt.Opened{}, refuse(http.StatusForbidden, "a statement signed by %s cannot come from %s", opened.TrustDomain, l.trustDomain)
	}
	return opened, nil
}

// takeCheck records a check of the peer and answers with our signed receipt.
//
//  1. verify the check                                                           crash: nothing
//  2. one transaction: the check with its number, its act in our journal         crash after: the peer repeats, and gets the same
//  3. sign and answer
func (e *Engine) takeCheck(l *line, r *http.Request, signed []byte) ([]byte, error) {
	opened, err := l.open(TypeCheck, signed)
	if err != nil {
		return nil, err
	}
	identity := e.cfg.Identity()
	c, err := decodeCheck(opened.Payload)
	switch {
	case err != nil:
		return nil, refuse(http.StatusUnprocessableEntity, "%v", err)
	case c.From != l.trustDomain:
		return nil, refuse(http.StatusUnprocessableEntity, "from: must be %s, who signed", l.trustDomain)
	case c.To != identity.TrustDomain():
		return nil, refuse(http.StatusUnprocessableEntity, "to: this is %s", identity.TrustDomain())
	}
	answer := Receipt{
		Version: Version, From: c.To, To: c.From, CheckSHA256: digest(opened.Payload), Path: c.Path, Number: c.Number,
		ReceivedAt: e.cfg.Now().UTC().Truncate(time.Microsecond), RSIT: message.TestCode,
	}
	if at, ok := e.cfg.PathOf(r.Context()); ok {
		answer.ReceivedOver = way(c.To, at)
	}
	f := facts{
		Digest: answer.CheckSHA256, IntervalSeconds: c.IntervalSeconds, Skipped: c.Skipped, OnDemand: c.OnDemand, Dials: c.Dials,
		LastSlot: c.Slot, SentAt: c.SentAt, TheirTime: answer.ReceivedAt, SignedBy: opened.Leaf.URIs[0].String(),
	}
	if err := l.record(r, &c, f, signed, &answer); err != nil {
		return nil, err
	}
	content, err := encode(answer)
	if err != nil {
		return nil, err
	}
	return receipt.Sign(identity, TypeReceipt, content)
}

// record does step 2, and completes the answer. One that was taken before gets the same answer, however late.
func (l *line) record(r *http.Request, c *Check, f facts, signed []byte, answer *Receipt) error {
	var told error
	err := l.engine.cfg.Change(r.Context(), l.trustDomain, func(tx store.LineTx) (*store.JournalEntry, error) {
		told = nil
		k, first, err := recall(tx, c)
		if err != nil {
			return nil, err
		}
		// Others share the transaction: what this check does wrong is not to undo it.
		if k.last == 0 {
			told = crowded(tx, store.In, l.engine.cfg.Now())
		}
		if told != nil {
			return nil, nil //nolint:nilerr // see above
		}
		answer.Verdict, answer.LastNumber = judge(k, c.Number, f.Digest), k.last
		if answer.Verdict == Again {
			answer.ReceivedAt = first
		}
		if answer.Verdict != Received {
			return nil, nil
		}
		var kept time.Time
		if kept, told = keptAt(c, l.engine.cfg.Now()); told != nil {
			return nil, nil //nolint:nilerr // see above
		}
		if k.last > 0 {
			f.Lost = min(c.Number-k.last-1, maxSkipped)
		}
		answer.LastNumber = c.Number
		content, err := encode(f)
		if err != nil {
			return nil, err
		}
		err = tx.PutLineCheck(store.LineCheck{
			Direction: store.In, Path: c.Path.key(), Number: c.Number, Slot: kept,
			At: answer.ReceivedAt, DoneAt: answer.ReceivedAt, Content: content, Statement: signed,
		})
		if err != nil {
			return nil, err
		}
		return l.act("LINE_CHECK_RECEIVED", c, f.Digest)
	})
	if err = errors.Join(err, told); err != nil {
		return err
	}
	l.recorded(r.Context(), c, answer.Verdict)
	return nil
}

// recorded tells of a check that is stored, or was before.
func (l *line) recorded(ctx context.Context, c *Check, verdict Verdict) {
	name, _ := l.settings()
	l.engine.metrics.received(name, c, verdict)
	if verdict == Received {
		l.wakeWatchers()
	} else {
		l.engine.cfg.Log.WarnContext(ctx, "line check of the peer is not new", "peer", l.trustDomain, "path", c.Path.key(), "number", c.Number, "verdict", verdict)
	}
}

// recall reads what judge wants to know, and when a check of that number was received.
func recall(tx store.LineTx, c *Check) (k known, first time.Time, err error) {
	last, err := tx.LastLineCheck(store.In, c.Path.key())
	if errors.Is(err, store.ErrNotFound) {
		return known{}, time.Time{}, nil
	}
	if err != nil {
		return known{}, time.Time{}, err
	}
	k.last = last.Number
	same, err := tx.LineCheck(store.In, c.Path.key(), c.Number)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return k, time.Time{}, nil
	case err != nil:
		return known{}, time.Time{}, err
	}
	k.stored, k.digest = true, factsOf(same.Content).Digest
	return k, same.DoneAt, nil
}

// crowded refuses a path that is new when the peer has named too many of late.
func crowded(tx store.LineTx, d store.Direction, now time.Time) error {
	n, err := tx.LineCheckPaths(d, now.Add(-pathMemory))
	if err == nil && n >= 2*maxPaths {
		return refuse(http.StatusUnprocessableEntity, "path: %d others were checked in the last %v", n, pathMemory)
	}
	return err
}
