// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package transit

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/problem"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/seal"
)

// serveTake is the receiver.
func (e *Engine) serveTake(w http.ResponseWriter, r *http.Request) {
	via, from := access.Peer{}, r.PathValue("peer")
	back, err := func() ([]byte, error) {
		var ok bool
		if via, ok = access.PeerFrom(r.Context()); !ok || !via.Relay {
			return nil, refuse(http.StatusForbidden, "denied", "only the relay of a peer may bring what others sent")
		}
		if err := e.mayTake(from, via.TrustDomain); err != nil {
			return nil, err
		}
		leave, ok := e.taken.enter(via.TrustDomain, e.bytesPerSecond(via.TrustDomain), r.ContentLength)
		if !ok {
			return nil, refuse(http.StatusTooManyRequests, "limited", "that is more than we take through one peer at a time")
		}
		defer leave()
		sealed, err := readSealed(w, r)
		if err != nil {
			return nil, err
		}
		e.taken.used(via.TrustDomain, max(len(sealed), leastTaken))
		return e.take(r.Context(), sealed, from, via.TrustDomain)
	}()
	if _, known := e.peer(from); !known {
		from = "" // a name that a peer made up is no label
	}
	e.metrics.taken.WithLabelValues(from, via.TrustDomain, resultOf(err)).Inc()
	e.reply(w, r, back, err)
}

// mayTake tells whether our hotline to the sender names the one in the middle.
func (e *Engine) mayTake(from, via string) error {
	l := e.lineTo(from)
	if l == nil || !slices.ContainsFunc(l.routes, func(r *route) bool { return r.peer.TrustDomain == via }) {
		return refuse(http.StatusForbidden, "denied", "we take nothing of that peer through %s: our Hotline to it does not name it under transit", via)
	}
	return nil
}

// take opens a sealed request, acts on it, and seals the answer to its sender.
//
//  1. The request is opened and verified. A crash before 2 leaves nothing.
//  2. Its id is stored. A crash after it: the request is lost, its sender gets no answer
//     and sends it again as another one; what is behind is idempotent.
//  3. It is acted on, as if the sender had made it directly.
func (e *Engine) take(ctx context.Context, sealed []byte, from, via string) ([]byte, error) {
	identity := e.cfg.Identity()
	to := identity.TrustDomain()
	id, ok := seal.KeyOf(sealed)
	if !ok {
		return nil, refuse(http.StatusBadRequest, "malformed", "that is no sealed request")
	}
	packed, err := seal.Open(e.cfg.Keys.Private(ctx, id), envelope(purposeRequest, from, to), sealed)
	switch {
	case errors.Is(err, seal.ErrNotForUs):
		return nil, refuse(http.StatusUnprocessableEntity, "key", "it is sealed to a key that we do not have any more: the sender learns the present one once the direct link is up")
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "malformed", "it does not open: it was changed on the way, or is for others")
	}
	now := e.cfg.Now()
	asked, body, jws, err := openRequest(identity, packed, from, to, via, now)
	if err != nil {
		e.cfg.Log.WarnContext(ctx, "a request that came through another is refused", "peer", from, "via", via, "error", err)
		if errors.Is(err, receipt.ErrUntrusted) || errors.Is(err, receipt.ErrExpired) {
			return nil, refuse(http.StatusForbidden, "signer", "the sender's signing certificate is not accepted here")
		}
		return nil, refuse(http.StatusForbidden, "signer", "it is not signed by the sender for us and this way")
	}
	key, err := seal.ParsePublicKey(asked.AnswerKey)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "malformed", "the key for the answer is none")
	}
	// From here on the sender is known, and answers are for nobody else.
	if d := asked.At.Sub(now); d > window || d < -window {
		return e.answer(identity, key, asked, jws, problemOf(http.StatusForbidden, "the time of the request is more than an hour from ours: one of the two clocks is wrong"))
	}
	fresh, err := e.cfg.Store.NoteTransit(ctx, from, asked.ID, now, asked.At.Add(window))
	if err != nil {
		return nil, err
	}
	if !fresh {
		return nil, refuse(http.StatusConflict, "repeated", "this request came before")
	}
	return e.answer(identity, key, asked, jws, e.act(ctx, asked, body))
}

// act makes the request that was inside.
func (e *Engine) act(ctx context.Context, asked request, body []byte) *recorder {
	if asked.Method == http.MethodGet && asked.Path == pathPing {
		w := newRecorder()
		w.WriteHeader(http.StatusNoContent)
		return w
	}
	p, known := e.peer(asked.From)
	if !known || p.State == config.Revoked {
		return problemOf(http.StatusForbidden, "you are no peer here")
	}
	ctx = access.WithPeer(ctx, access.Peer{Name: p.Name, TrustDomain: p.TrustDomain, State: p.State, Relay: true})
	req, err := http.NewRequestWithContext(ctx, asked.Method, asked.Path, bytes.NewReader(body))
	if err != nil || req.URL.Host != "" || !reachable(req.URL.Path) {
		return problemOf(http.StatusNotFound, "only the paths of the hotline can be reached through others")
	}
	req.Header, req.RequestURI, req.Host = toHeader(asked.Header), asked.Path, asked.To
	w := newRecorder()
	e.cfg.Serve.ServeHTTP(w, req)
	if w.large {
		return problemOf(http.StatusInsufficientStorage, "the answer is too large to go through others")
	}
	return w
}

// reachable tells whether a path may be asked for through others: those of the hotline, but
// for the paths of transit itself, as what came through others goes no further.
func reachable(p string) bool {
	return strings.HasPrefix(p, link.PathHotline) && !strings.HasPrefix(p, pathTransit) && path.Clean(p) == p
}

// answer signs and seals a response for the sender.
func (e *Engine) answer(identity Identity, key seal.PublicKey, asked request, jws []byte, w *recorder) ([]byte, error) {
	body := w.body.Bytes()
	a := answer{
		Version: 1, ID: asked.ID, Request: digest(jws), From: asked.To, To: asked.From,
		Status: w.status, Header: headerOf(w.header), Body: digest(body),
	}
	if !fits("", "", a.Header) {
		return nil, errors.New("the head of the answer is too large to go through others")
	}
	packed, _, err := pack(identity, TypeAnswer, a, body)
	if err != nil {
		return nil, err
	}
	return seal.Seal(key, envelope(purposeAnswer, asked.To, asked.From), packed)
}

// recorder keeps a response, up to MaxBody.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
	large  bool
}

func newRecorder() *recorder { return &recorder{header: http.Header{}, status: http.StatusOK} }

// problemOf is a refusal of transit itself: another way may fare better.
func problemOf(status int, detail string) *recorder {
	w := newRecorder()
	w.header.Set(headerRefused, "this way")
	problem.Write(w, status, detail)
	return w
}

// Header implements http.ResponseWriter.
func (w *recorder) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) { w.status = status }

// Write implements http.ResponseWriter.
func (w *recorder) Write(p []byte) (int, error) {
	if w.body.Len()+len(p) > MaxBody {
		w.large = true
		return 0, http.ErrContentLength
	}
	return w.body.Write(p)
}
