// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// Limits of the Handler.
const (
	// MaxContentLength is the longest body of a POST: 10 MiB.
	MaxContentLength = 10 << 20
	// MaxObjectsPerPost is the largest number of objects in it.
	MaxObjectsPerPost = store.MaxRecords
	// DefaultLimit and MaxLimit are numbers of objects in a page.
	DefaultLimit = 1000
	MaxLimit     = 5000
	// MaxPageBytes ends a page early: it holds no object behind the one that
	// reaches this size.
	MaxPageBytes = 8 << 20
	// MaxRequests and MaxRequestsPerCaller are numbers of requests at once that
	// carry objects. Beyond them MaxWaiting of each caller wait, at most MaxWait; the
	// caller with the fewest under way is next. All others are told 503, come again.
	MaxRequests          = 16
	MaxRequestsPerCaller = 4
	MaxWaiting           = 16
	MaxWait              = 5 * time.Second
)

// Backend is what a Handler serves. Its methods judge by the context who asks;
// they may be called concurrently. An error that is a *ProtocolError, or
// store.ErrNotFound or store.ErrFull, becomes that answer; any other is a 500
// that tells the caller nothing.
type Backend interface {
	Catalogue
	Content
}

// Catalogue says who asks, and what there is for them.
type Catalogue interface {
	// Caller names who asks, or refuses with Unauthorized or Forbidden. The
	// name bounds requests at once and owns statuses.
	Caller(ctx context.Context) (string, error)
	// Collections lists what the caller may see, in a stable order.
	Collections(ctx context.Context) ([]Collection, error)
	// Collection returns one by id or alias, or NotFound.
	Collection(ctx context.Context, idOrAlias string) (Collection, error)
}

// Content is what is in collections.
type Content interface {
	// Objects returns a page of a collection that Collection returned with CanRead.
	Objects(ctx context.Context, collectionID string, q store.Query) (store.Page, error)
	// Add stores objects in a collection with CanWrite, all or none; durable on
	// return. The outcomes are in the order of the objects.
	Add(ctx context.Context, collectionID string, objects []stix.Object) ([]store.Outcome, error)
	// Delete deletes from a collection with CanRead and CanWrite what the query
	// selects, which names one id, whatever its Limit. It returns the number of records;
	// durable on return. After an error a part may be gone: repeating is safe.
	Delete(ctx context.Context, collectionID string, q store.Query) (int, error)
}

// Options of a Handler.
type Options struct {
	// Root is the path segment of the one API root. Required.
	Root string
	// Title and Description of the server and its API root. A title is required.
	Title, Description string
	// Backend is required.
	Backend Backend
	// Clock; nil means time.Now.
	Clock func() time.Time
	// Logger; nil means none.
	Logger *slog.Logger
	// Registry for metrics; nil means none. The port is their label, a word of ours.
	Registry prometheus.Registerer
	Port     string
}

// handler is the http.Handler of a Backend.
type handler struct {
	Options
	statuses *statuses
	slots    *slots
	metrics  *metrics
}

// NewHandler returns the handler of everything below /taxii2/. It panics if a
// required option is missing.
func NewHandler(o Options) http.Handler {
	if o.Root == "" || o.Title == "" || o.Backend == nil {
		panic("taxii: NewHandler needs Root, Title and Backend")
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &handler{Options: o, statuses: newStatuses(), slots: newSlots(), metrics: newMetrics(o.Registry, o.Port)}
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e, at := h.route(r.URL.Path)
	seen := &statusWriter{ResponseWriter: w, status: http.StatusOK, bare: r.Method == http.MethodHead}
	err := h.serve(seen, r, e, at)
	if err != nil {
		h.answer(seen, r, e, err)
	}
	if e.name == "" {
		e.name = "none"
	}
	h.metrics.requests.WithLabelValues(e.name, strconv.Itoa(seen.status)).Inc()
}

// serve checks in the order in which an answer gives least away: who asks, then
// what for, then how.
func (h *handler) serve(w http.ResponseWriter, r *http.Request, e endpoint, at place) error {
	caller, err := h.Backend.Caller(r.Context())
	if err != nil {
		return err
	}
	if e.name == "" {
		return NotFound()
	}
	act := e.methods()[r.Method]
	if act == nil {
		wrong := problem(http.StatusMethodNotAllowed, "Method not allowed", "this resource has no %s", brief(r.Method))
		wrong.allow = e.allow()
		return wrong
	}
	if r.Method != http.MethodOptions && !accepts(r.Header) {
		return problem(http.StatusNotAcceptable, "Media type not available", "send the header Accept: %s", MediaType)
	}
	return act(w, &call{Request: r, caller: caller, place: at})
}

// answer sends an error, unless an answer is on its way already.
func (h *handler) answer(w *statusWriter, r *http.Request, e endpoint, err error) {
	if r.Context().Err() != nil && !isProtocolError(err) {
		w.status = 499 // nobody waits for the answer any more; the number is nginx's
		return
	}
	answer, report := asProtocolError(err)
	if report {
		answer.ErrorID = uuid.NewString()
		h.Logger.ErrorContext(r.Context(), "TAXII request failed", "port", h.Port, "endpoint", e.name, "error_id", answer.ErrorID, "error", err)
	}
	answer.write(w)
}

func isProtocolError(err error) bool {
	var known *ProtocolError
	return errors.As(err, &known)
}

// statusWriter remembers the status for the metrics.
type statusWriter struct {
	http.ResponseWriter
	status int
	// bare: the answer is to a HEAD, and has no body.
	bare bool
}

// Write implements http.ResponseWriter.
func (w *statusWriter) Write(body []byte) (int, error) {
	if w.bare {
		return len(body), nil
	}
	return w.ResponseWriter.Write(body)
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// send writes a whole answer. An error of writing is the client's trouble.
func send(w http.ResponseWriter, status int, body []byte) {
	header(w, len(body))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func header(w http.ResponseWriter, length int) {
	h := w.Header()
	h.Set("Content-Type", MediaType)
	h.Set("Content-Length", strconv.Itoa(length))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
}

func sendJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	send(w, status, body)
	return nil
}

// plainHost is a host that can be repeated in a URL.
var plainHost = regexp.MustCompile(`^[A-Za-z0-9.:\[\]_-]{1,255}$`)

func (h *handler) discovery(w http.ResponseWriter, c *call) error {
	root := "/taxii2/" + h.Root + "/"
	if plainHost.MatchString(c.Host) {
		root = "https://" + c.Host + root
	}
	return sendJSON(w, http.StatusOK, Discovery{Title: h.Title, Description: h.Description, Default: root, APIRoots: []string{root}})
}

func (h *handler) apiRoot(w http.ResponseWriter, _ *call) error {
	return sendJSON(w, http.StatusOK, APIRoot{Title: h.Title, Description: h.Description, Versions: []string{version}, MaxContentLength: MaxContentLength})
}

func (h *handler) collections(w http.ResponseWriter, c *call) error {
	list, err := h.Backend.Collections(c.Context())
	if err != nil {
		return err
	}
	var shown []Collection
	for _, one := range list {
		if one.CanRead || one.CanWrite {
			shown = append(shown, h.linked(one))
		}
	}
	return sendJSON(w, http.StatusOK, Collections{Collections: shown})
}

func (h *handler) collection(w http.ResponseWriter, c *call) error {
	one, err := h.visible(c)
	if err != nil {
		return err
	}
	return sendJSON(w, http.StatusOK, h.linked(one))
}

// visible finds the collection of a request. One that the caller can neither read nor
// write is not there (TAXII 2.1 section 5.7 has it so).
func (h *handler) visible(c *call) (Collection, error) {
	one, err := h.Backend.Collection(c.Context(), c.collection)
	if err == nil && !one.CanRead && !one.CanWrite {
		err = NotFound()
	}
	return one, err
}

func (h *handler) status(w http.ResponseWriter, c *call) error {
	s, ok := h.statuses.get(c.caller, c.status)
	if !ok {
		return NotFound()
	}
	return sendJSON(w, http.StatusOK, s)
}
