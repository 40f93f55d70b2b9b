// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"slices"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/misp"
	"github.com/certlink/certlink/relay/problem"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

// maxBody is the largest request of the hotline's paths: a text of MaxTextBytes,
// every byte of which JSON may write as six.
const maxBody = 6*MaxTextBytes + 16<<10

// defaultList is the number of messages in a page when the client does not say.
const defaultList = 50

// Hotline is what the desk asks of the hotline. All methods may be called
// concurrently; what they store is durable on return. Their errors are
// *InvalidError and those of package store.
type Hotline interface {
	// Send stores a message of ours for delivery; or, when officers must release it first,
	// as a draft (the state is StateDraft, the server answers 202). Repeating a request with the
	// same id returns what is stored, and false.
	Send(ctx context.Context, req SendRequest) (m Message, created bool, err error)
	// Acknowledge stores the acknowledgement of a received message and returns it.
	Acknowledge(ctx context.Context, peer, id string, req AckRequest) (Message, error)
	// List returns a page of messages.
	List(ctx context.Context, q store.MessageQuery) (MessageList, error)
	// Get returns one message with its signed forms.
	Get(ctx context.Context, d store.Direction, peer, id string) (Message, error)
}

// Parts are what the local port serves.
type Parts struct {
	// Report answers report.Path. Required.
	Report http.Handler
	// Hotline serves the desk. Required.
	Hotline Hotline
	// TAXII answers everything below /taxii2/. Required.
	TAXII http.Handler
	// Checker looks at the link to a peer. Required.
	Checker Checker
	// Explainer says what was decided about objects. Required.
	Explainer Explainer
	// Puller says how far pulls have come; nil means that there is nothing to pull.
	Puller Puller
	// Quarantiner keeps what peers sent and must not be stored; nil means that there is none.
	Quarantiner Quarantiner
	// Guide answers questions about territory; nil means that there is none.
	Guide *Guide
	// Deliverer keeps what deliveries of imports could not hand on; nil means that there is none.
	Deliverer Deliverer
	// MISP serves imports as MISP feeds; nil means that there is none.
	MISP http.Handler
	// Trust has the record of trust changes; nil means that there is none to be had.
	Trust TrustLog
	// Escalations tell people of silence on hotlines; nil means that nobody does.
	Escalations Escalations
	// Journals has the journals of the hotlines; nil means that there are none.
	Journals Journals
	// Glossaries has the glossary of each hotline; nil means that there are none.
	Glossaries Glossaries
	// Acts reads what people did from our journals; nil means that there are none.
	Acts Acts
	// Drafts wait for their release; nil means that there are none.
	Drafts Drafts
	// Attachments keeps the files of messages; nil means that there are none.
	Attachments Attacher
	// Couriers writes and reads what is carried by hand; nil means that there are none.
	Couriers Couriers
	// Exercises runs drills; nil means that there are none.
	Exercises Exercises
	// LineChecks checks lines and has their availability; nil means that there is nothing to check.
	LineChecks LineChecker
	// Log is told of errors that the client is not. Required.
	Log *slog.Logger
}

// NewHandler returns the handler of the local port. It judges by access.RoleFrom:
// a request without a role gets nothing.
func NewHandler(p Parts) http.Handler {
	h := &handler{hotline: p.Hotline, checker: p.Checker, explainer: p.Explainer, puller: p.Puller, quarantiner: p.Quarantiner, deliverer: p.Deliverer, trust: p.Trust, guide: p.Guide, log: p.Log}
	mux := http.NewServeMux()
	desk, all, tools := []access.Role{access.RoleDesk}, []access.Role{access.RoleOperator, access.RoleDesk}, []access.Role{access.RoleDesk, access.RoleTool}
	mux.Handle("GET "+report.Path, only(all, p.Report))
	mux.Handle("POST "+PathMessages, only(desk, h.reply(h.send)))
	mux.Handle("GET "+PathMessages, only(desk, h.reply(h.list)))
	mux.Handle("GET "+PathMessage, only(desk, h.reply(h.get)))
	mux.Handle("POST "+PathAcknowledge, only(desk, h.reply(h.acknowledge)))
	mux.Handle("POST "+PathCheck, only(all, h.reply(h.check)))
	if p.Trust != nil {
		mux.Handle("GET "+PathTrust, only(all, h.reply(h.trustLog)))
	}
	mux.Handle("GET "+PathProfile, only(all, new(profiler).serve(h)))
	mux.Handle("/taxii2/", only(tools, p.TAXII))
	mux.Handle("/", only(nil, nil))
	h.serveFeeds(mux, p)
	h.serveHotlines(mux, p)
	return mux
}

// serveFeeds: what officers and tools ask about objects and where these went.
func (h *handler) serveFeeds(mux *http.ServeMux, p Parts) {
	desk, tools := []access.Role{access.RoleDesk}, []access.Role{access.RoleDesk, access.RoleTool}
	mux.Handle("GET "+PathWhy, only(tools, h.reply(h.why)))
	if p.Puller != nil {
		mux.Handle("GET "+PathPulls, only(tools, h.reply(h.pulls)))
	}
	if p.Quarantiner != nil {
		mux.Handle("GET "+PathQuarantine, only(tools, h.reply(h.quarantined)))
		mux.Handle("POST "+PathQuarantine, only(desk, h.reply(h.settle)))
	}
	if p.Deliverer != nil {
		mux.Handle("GET "+PathDead, only(tools, h.reply(h.deadLetters)))
		mux.Handle("POST "+PathDead, only(desk, h.reply(h.redeliver)))
	}
	if p.MISP != nil {
		mux.Handle("GET "+misp.Path, only(tools, p.MISP))
	}
	if p.Guide != nil {
		mux.Handle("GET "+PathTerritory, only(tools, h.reply(h.territoryOfValue)))
		mux.Handle("POST "+PathTerritory, only(tools, h.reply(h.territoryOfObject)))
	}
}

// serveHotlines: what hotlines have besides messages.
func (h *handler) serveHotlines(mux *http.ServeMux, p Parts) {
	if p.Escalations != nil {
		h.serveEscalations(mux, p.Escalations)
	}
	if p.Exercises != nil {
		h.serveExercises(mux, p.Exercises)
	}
	if p.LineChecks != nil {
		h.serveLineChecks(mux, p.LineChecks)
	}
	if p.Journals != nil {
		h.serveJournals(mux, p.Journals)
	}
	if p.Glossaries != nil {
		h.serveGlossaries(mux, p.Glossaries)
	}
	if p.Attachments != nil {
		h.serveAttachments(mux, p.Attachments)
	}
	if p.Acts != nil {
		h.serveActs(mux, p.Acts)
	}
	if p.Drafts != nil {
		h.serveDrafts(mux, p.Drafts)
	}
	if p.Couriers != nil {
		h.serveCouriers(mux, p.Couriers)
	}
}

// only lets the roles through, and tells a known client what is missing.
func only(roles []access.Role, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		role, ok := access.RoleFrom(r.Context())
		switch {
		case !ok:
			problem.Write(w, http.StatusForbidden, "the client certificate has no role here")
		case next == nil:
			problem.Write(w, http.StatusNotFound, "there is nothing at this path")
		case !slices.Contains(roles, role):
			problem.Write(w, http.StatusForbidden, fmt.Sprintf("the role %q may not do this; it takes one of %q", role, roles))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

type handler struct {
	hotline     Hotline
	checker     Checker
	explainer   Explainer
	puller      Puller
	quarantiner Quarantiner
	deliverer   Deliverer
	trust       TrustLog
	guide       *Guide
	log         *slog.Logger
}

// reply writes what an action returns: its status and body, or its error.
func (h *handler) reply(action func(r *http.Request) (int, any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		status, body, err := action(r)
		if err != nil {
			h.refuse(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		// An error here means that the client is gone: there is nobody to tell.
		_ = json.NewEncoder(w).Encode(body)
	})
}

func (h *handler) send(r *http.Request) (int, any, error) {
	var req SendRequest
	if err := decode(r, &req); err != nil {
		return 0, nil, err
	}
	m, created, err := h.hotline.Send(r.Context(), req)
	if m.State == StateDraft {
		return http.StatusAccepted, m, err
	}
	if created {
		return http.StatusCreated, m, err
	}
	return http.StatusOK, m, err
}

func (h *handler) acknowledge(r *http.Request) (int, any, error) {
	var req AckRequest
	if err := decode(r, &req); err != nil {
		return 0, nil, err
	}
	m, err := h.hotline.Acknowledge(r.Context(), r.PathValue("peer"), r.PathValue("id"), req)
	return http.StatusCreated, m, err
}

func (h *handler) get(r *http.Request) (int, any, error) {
	m, err := h.hotline.Get(r.Context(), store.Direction(r.PathValue("direction")), r.PathValue("peer"), r.PathValue("id"))
	return http.StatusOK, m, err
}

func (h *handler) list(r *http.Request) (int, any, error) {
	query := r.URL.Query()
	q := store.MessageQuery{
		Direction: store.Direction(query.Get("direction")), Peer: query.Get("peer"), Limit: defaultList,
		ID: query.Get("id"), Conversation: query.Get("conversation"), Kind: query.Get("kind"), Unread: query.Get("unread") == "true",
	}
	invalid := &InvalidError{}
	q.Before = invalid.number(query, "before", 0, math.MaxInt64)
	q.Limit = int(invalid.number(query, "limit", defaultList, store.MaxMessages))
	if len(invalid.Faults) > 0 {
		return 0, nil, invalid
	}
	page, err := h.hotline.List(r.Context(), q)
	return http.StatusOK, page, err
}

// errBody marks a body that is no request; errLarge one that is too large.
var (
	errBody  = errors.New("reading the request")
	errLarge = errors.New("the request is too large")
)

// decode reads a JSON body without unknown fields.
func decode(r *http.Request, into any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil && decoder.Decode(&struct{}{}) != io.EOF {
		err = errors.New("there is something behind the JSON object")
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errLarge
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errBody, err)
	}
	return nil
}

// refuse answers with the problem that an error means.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if invalid, ok := errors.AsType[*InvalidError](err); ok {
		problem.Write(w, http.StatusUnprocessableEntity, invalid.Error())
		return
	}
	if forbidden, ok := errors.AsType[*ForbiddenError](err); ok {
		problem.Write(w, http.StatusForbidden, forbidden.Error())
		return
	}
	for _, known := range []struct {
		err    error
		status int
		detail string
	}{
		{errBody, http.StatusBadRequest, err.Error()},
		{errLarge, http.StatusRequestEntityTooLarge, fmt.Sprintf("the request is larger than %d bytes", maxBody)},
		{store.ErrIncomplete, http.StatusUnprocessableEntity, err.Error()},
		{store.ErrNotFound, http.StatusNotFound, err.Error()},
		{ErrBusy, http.StatusTooManyRequests, err.Error()},
		{store.ErrConflict, http.StatusConflict, err.Error()},
		{store.ErrFull, http.StatusInsufficientStorage, "the relay's storage is full: nothing was stored; make room and send again"},
	} {
		if errors.Is(err, known.err) {
			problem.Write(w, known.status, known.detail)
			return
		}
	}
	if r.Context().Err() == nil {
		h.log.Error("request of the desk", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	problem.Write(w, http.StatusInternalServerError, "the relay could not do this; its log says why")
}
