// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"errors"
	"io"
	"net/http"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/problem"
)

// Handler answers POST of Path on the link port: it takes the peer's offer and
// answers with ours. It judges by access.PeerFrom, and serves the relay of every
// peer that is not Revoked.
func (e *Engine) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, ok := access.PeerFrom(r.Context())
		var p *peer
		if ok && from.Relay {
			p = e.peer(from.TrustDomain)
		}
		switch {
		case p == nil:
			problem.Write(w, http.StatusForbidden, "only the relay of a peer exchanges offers")
		case r.Method != http.MethodPost:
			w.Header().Set("Allow", http.MethodPost)
			problem.Write(w, http.StatusMethodNotAllowed, "offers are exchanged by POST")
		case !p.admit(e.cfg.Clock()):
			w.Header().Set("Retry-After", "1")
			problem.Write(w, http.StatusTooManyRequests, "more offers than a relay needs: slow down")
		default:
			p.serve(w, r)
		}
	})
}

func (p *peer) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBytes))
	if err != nil {
		if _, long := errors.AsType[*http.MaxBytesError](err); long {
			p.refused(&offerError{reason: reasonMalformed, text: "the peer's offer is too long"})
			problem.Write(w, http.StatusRequestEntityTooLarge, "an offer is at most 96 KiB")
		}
		return // otherwise the peer is gone
	}
	if err := p.take(r.Context(), body); err != nil {
		problem.Write(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	jws, _, err := p.sign()
	if err != nil {
		p.engine.cfg.Log.Error("signing an offer", "peer", p.trustDomain, "error", err)
		problem.Write(w, http.StatusInternalServerError, "the relay cannot sign its offer now")
		return
	}
	w.Header().Set("Content-Type", ContentType)
	w.Header().Set("Cache-Control", "no-store")
	// An error here means that the peer is gone: there is nobody to tell.
	_, _ = w.Write(jws)
}

// Gate lets requests of a peer through unless we have no version of the link
// protocol in common. It is for everything on the link port but offers and
// heartbeats, and for peers in the context (access.PeerFrom); others pass, for the
// handler to judge.
func (e *Engine) Gate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if from, ok := access.PeerFrom(r.Context()); ok {
			if err := e.Allowed(from.TrustDomain); err != nil {
				problem.Write(w, http.StatusForbidden, fromTheirSide(err))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// fromTheirSide is what a VersionError says to the other side.
func fromTheirSide(err error) string {
	if e, ok := errors.AsType[*VersionError](err); ok {
		return (&VersionError{Ours: e.Theirs, Theirs: e.Ours}).Error()
	}
	return err.Error()
}
