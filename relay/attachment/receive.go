// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package attachment

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"unicode"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/attachment/chunk"
	"github.com/certlink/certlink/relay/store"
)

// Handler serves the files of peers below Path on the link port: GET says how much of one is
// stored, PUT brings a chunk. The request's context says who the peer is (package access).
func (e *Engine) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path+"{sha256}", e.serve(e.tell))
	mux.HandleFunc("PUT "+Path+"{sha256}", e.serve(e.take))
	return mux
}

// serve lets the relay of a peer with a Hotline through, and writes what an action returns.
func (e *Engine) serve(action func(w http.ResponseWriter, r *http.Request, l *line) (chunk.State, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		peer, ok := access.PeerFrom(r.Context())
		var l *line
		if ok && peer.Relay {
			l = e.line(peer.TrustDomain)
		}
		var state chunk.State
		err := error(&chunk.Error{Status: http.StatusForbidden, Detail: "there is no Hotline for you here"})
		if l != nil {
			state, err = action(w, r, l)
		}
		if err != nil {
			if l != nil {
				e.metrics.failed(l.hotline(), store.In)
				e.cfg.Log.WarnContext(r.Context(), "part of an attachment refused", "peer", l.trustDomain, "error", oneLine(err.Error()))
			}
			chunk.Reply(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(state) // when the peer is gone it asks again
	}
}

// tell answers how much is stored. What is all there, and was not compared before a crash,
// is compared now.
func (e *Engine) tell(_ http.ResponseWriter, r *http.Request, l *line) (chunk.State, error) {
	sum, err := chunk.ParseName(r.PathValue("sha256"))
	if err != nil {
		return chunk.State{}, err
	}
	leave, err := l.enter()
	if err != nil {
		return chunk.State{}, err
	}
	defer leave()
	a, err := e.finish(r.Context(), store.AttachmentKey{Direction: store.In, Peer: l.trustDomain, SHA256: sum})
	return chunk.StateOf(a), err
}

// take does steps 6 and 7, see the package comment.
func (e *Engine) take(w http.ResponseWriter, r *http.Request, l *line) (chunk.State, error) {
	leave, err := l.enter() // before memory is taken
	if err != nil {
		return chunk.State{}, err
	}
	defer leave()
	c, err := chunk.Read(w, r, r.PathValue("sha256"))
	if err != nil {
		return chunk.State{}, err
	}
	a, err := e.put(r.Context(), store.AttachmentKey{Direction: store.In, Peer: l.trustDomain, SHA256: c.SHA256}, &c)
	if err != nil {
		return chunk.State{}, err
	}
	e.metrics.received(l.hotline(), len(c.Content))
	if a.Complete {
		e.metrics.finished(l.hotline(), store.In)
	}
	return chunk.StateOf(a), nil
}

// enter takes a slot of the line.
func (l *line) enter() (leave func(), err error) {
	select {
	case l.slots <- struct{}{}:
		return func() { <-l.slots }, nil
	default:
		return nil, &chunk.Error{Status: http.StatusTooManyRequests, Detail: "chunks of yours are being stored: bring one after the other"}
	}
}

// put stores a chunk; after the last one the file is compared with its digest.
func (e *Engine) put(ctx context.Context, k store.AttachmentKey, c *chunk.Chunk) (store.Attachment, error) {
	a, err := e.cfg.Store.AppendAttachment(ctx, k, c.Size, c.Offset, c.Content, e.cfg.Limits)
	if err != nil || a.Complete || a.Stored < a.Size {
		return a, err
	}
	return e.cfg.Store.CompleteAttachment(ctx, k)
}

// finish returns what is stored of a file; nothing stored is no error. One that is all there
// is compared with its digest, if a crash came before that.
func (e *Engine) finish(ctx context.Context, k store.AttachmentKey) (store.Attachment, error) {
	a, err := e.cfg.Store.GetAttachment(ctx, k)
	if err == nil && !a.Complete && a.Stored == a.Size {
		a, err = e.cfg.Store.CompleteAttachment(ctx, k)
	}
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrDigest) {
		return store.Attachment{AttachmentKey: k}, nil
	}
	return a, err
}

// oneLine makes text of the other side fit for a report or a log.
func oneLine(s string) string {
	const longest = 300
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "…"
	}
	return s
}
