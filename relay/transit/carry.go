// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package transit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/problem"
)

// Handler takes sealed requests: POST PathTo to carry one on, PathFrom to take one. The
// request's context says who the peer is (package access).
func (e *Engine) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+PathTo+"{peer}", e.serveCarry)
	mux.HandleFunc("POST "+PathFrom+"{peer}", e.serveTake)
	return mux
}

// refusal is what a peer is told.
type refusal struct {
	status int
	result string // for metrics
	detail string
}

func (r *refusal) Error() string { return r.detail }

func refuse(status int, result, format string, args ...any) error {
	return &refusal{status: status, result: result, detail: fmt.Sprintf(format, args...)}
}

// resultOf names an outcome for metrics.
func resultOf(err error) string {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.result
	}
	if err != nil {
		return "failed"
	}
	return "answered"
}

// serveCarry is the peer in the middle.
func (e *Engine) serveCarry(w http.ResponseWriter, r *http.Request) {
	from, to := access.Peer{}, r.PathValue("peer")
	back, err := func() ([]byte, error) {
		var ok bool
		if from, ok = access.PeerFrom(r.Context()); !ok || !from.Relay {
			return nil, refuse(http.StatusForbidden, "denied", "only the relay of a peer may send through us")
		}
		if err := e.mayCarry(from.TrustDomain, to); err != nil {
			return nil, err
		}
		return e.carryOn(w, r, from.TrustDomain, to)
	}()
	if _, known := e.peer(to); !known {
		to = "" // a name that a peer made up is no label
	}
	e.metrics.carried.WithLabelValues(from.TrustDomain, to, resultOf(err)).Inc()
	e.reply(w, r, back, err)
}

// mayCarry tells whether we allow transit for both ends.
func (e *Engine) mayCarry(from, to string) error {
	a, knownA := e.peer(from)
	b, knownB := e.peer(to)
	switch {
	case !knownA || a.Transit != config.TransitAllowed || !carries(a.State):
		return refuse(http.StatusForbidden, "denied", "we carry nothing for %s: the transit of our PeerCERT about it is not Allowed, or it is not Active", from)
	case !knownB || b.Transit != config.TransitAllowed || !carries(b.State) || from == to:
		return refuse(http.StatusForbidden, "denied", "we carry nothing to that peer: we have none of that name, or its transit is not Allowed, or it is not Active")
	}
	return nil
}

func (e *Engine) carryOn(w http.ResponseWriter, r *http.Request, from, to string) ([]byte, error) {
	perSecond := e.bytesPerSecond(from)
	leave, ok := e.carried.enter(from, perSecond, r.ContentLength)
	if !ok {
		return nil, refuse(http.StatusTooManyRequests, "limited", "that is more than we carry for one peer at a time (%d requests, %d bytes a second)", AtOnce, perSecond)
	}
	defer leave()
	sealed, err := readSealed(w, r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeFor(len(sealed))) // whoever waits longer holds a place
	defer cancel()
	back, err := e.carry(ctx, to, PathFrom+from, sealed)
	e.carried.used(from, len(sealed)+len(back))
	e.metrics.bytes.WithLabelValues(from).Add(float64(len(sealed) + len(back)))
	if said, ok := errors.AsType[*carrierError](err); ok {
		return nil, refuse(http.StatusBadGateway, "refused", "%s did not take it: %s", to, said.Error())
	}
	if unreachable, ok := errors.AsType[*link.Error](err); ok {
		return nil, refuse(http.StatusBadGateway, "unreachable", "we do not reach %s now (%s)", to, unreachable.Cause)
	}
	if err != nil {
		e.cfg.Log.InfoContext(r.Context(), "a request could not be carried", "peer", from, "to", to, "error", err)
		return nil, refuse(http.StatusBadGateway, "unreachable", "we got no answer of %s", to)
	}
	return back, nil
}

func readSealed(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Header.Get("Content-Type") != ContentType {
		return nil, refuse(http.StatusUnsupportedMediaType, "malformed", "what goes through others is %s", ContentType)
	}
	sealed, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSealed))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, refuse(http.StatusRequestEntityTooLarge, "malformed", "a sealed request has at most %d bytes", maxSealed)
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "malformed", "the request ended early")
	}
	return sealed, nil
}

// reply writes sealed bytes, or a problem.
func (e *Engine) reply(w http.ResponseWriter, r *http.Request, sealed []byte, err error) {
	said, ok := errors.AsType[*refusal](err)
	switch {
	case ok:
		if said.status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1")
		}
		problem.Write(w, said.status, printable(said.detail))
	case err != nil:
		e.cfg.Log.ErrorContext(r.Context(), "transit", "path", printable(strings.TrimPrefix(r.URL.Path, link.PathHotline)), "error", err)
		problem.Write(w, http.StatusInternalServerError, "the relay could not do this; its log says why")
	default:
		w.Header().Set("Content-Type", ContentType)
		_, _ = w.Write(sealed) // when the peer is gone it sends again
	}
}
