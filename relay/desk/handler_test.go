// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/problem"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/trust"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hotline plays the engine: it returns err, or what it was asked.
type hotline struct {
	err     error
	created bool
	state   string
	send    desk.SendRequest
	ack     desk.AckRequest
	query   store.MessageQuery
	asked   string
}

func (h *hotline) Send(_ context.Context, r desk.SendRequest) (desk.Message, bool, error) {
	h.send = r
	return desk.Message{ID: r.ID, State: h.state}, h.created, h.err
}

func (h *hotline) Acknowledge(_ context.Context, peer, id string, r desk.AckRequest) (desk.Message, error) {
	h.asked, h.ack = peer+" "+id, r
	return desk.Message{Kind: "ACK"}, h.err
}

func (h *hotline) List(_ context.Context, q store.MessageQuery) (desk.MessageList, error) {
	h.query = q
	return desk.MessageList{Messages: []desk.Message{}}, h.err
}

func (h *hotline) Get(_ context.Context, d store.Direction, peer, id string) (desk.Message, error) {
	h.asked = string(d) + " " + peer + " " + id
	return desk.Message{ID: id}, h.err
}

// checker plays the one that looks at peers.
type checker struct{ err error }

func (c checker) Check(_ context.Context, peer string) (desk.Check, error) {
	return desk.Check{Peer: peer}, c.err
}

// explainer explains anything.
type explainer struct{ err error }

func (e explainer) Why(_ context.Context, object, peer string) (desk.Why, error) {
	return desk.Why{Object: object, Peer: peer}, e.err
}

// trustLog plays the record of trust.
type trustLog struct{ query store.TrustQuery }

func (l *trustLog) Records(_ context.Context, q store.TrustQuery) (trust.Page, error) {
	l.query = q
	return trust.Page{Records: []trust.Record{}, Total: 7}, nil
}

func said(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
}

func handler(h *hotline) http.Handler {
	return desk.NewHandler(parts(h))
}

func parts(h *hotline) desk.Parts {
	return desk.Parts{
		Report: said("report"), Hotline: h, TAXII: said("taxii"), Checker: checker{err: h.err}, Explainer: explainer{err: h.err},
		Trust: &trustLog{}, Log: slog.New(slog.DiscardHandler),
	}
}

// call does a request in a role; "" is nobody.
func call(t *testing.T, h http.Handler, role access.Role, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	ctx := t.Context()
	if role != "" {
		ctx = access.WithRole(ctx, role)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body)))
	return w
}

func TestRolesMayDoWhatIsTheirs(t *testing.T) {
	h := handler(&hotline{created: true})
	for _, c := range []struct {
		method, path, body string
		want               map[access.Role]int
	}{
		{http.MethodGet, "/report", "", map[access.Role]int{access.RoleOperator: 200, access.RoleDesk: 200, access.RoleTool: 403, "": 403}},
		{http.MethodGet, "/hotline/messages", "", map[access.Role]int{access.RoleOperator: 403, access.RoleDesk: 200, access.RoleTool: 403, "": 403}},
		{http.MethodPost, "/hotline/messages", "{}", map[access.Role]int{access.RoleOperator: 403, access.RoleDesk: 201, access.RoleTool: 403, "": 403}},
		{http.MethodGet, "/hotline/messages/in/bravo/1", "", map[access.Role]int{access.RoleOperator: 403, access.RoleDesk: 200, access.RoleTool: 403, "": 403}},
		{http.MethodPost, "/hotline/messages/in/bravo/1/acknowledgement", "{}", map[access.Role]int{access.RoleOperator: 403, access.RoleDesk: 201, access.RoleTool: 403, "": 403}},
		{http.MethodPost, "/check/bravo", "", map[access.Role]int{access.RoleOperator: 200, access.RoleDesk: 200, access.RoleTool: 403, "": 403}},
		{http.MethodGet, "/feeds/why?object=x&peer=bravo", "", map[access.Role]int{access.RoleOperator: 403, access.RoleDesk: 200, access.RoleTool: 200, "": 403}},
		{http.MethodGet, "/trust/log", "", map[access.Role]int{access.RoleOperator: 200, access.RoleDesk: 200, access.RoleTool: 403, "": 403}},
		{http.MethodGet, "/taxii2/", "", map[access.Role]int{access.RoleOperator: 403, access.RoleDesk: 200, access.RoleTool: 200, "": 403}},
		{http.MethodPost, "/taxii2/local/", "", map[access.Role]int{access.RoleOperator: 403, access.RoleDesk: 200, access.RoleTool: 200, "": 403}},
		{http.MethodGet, "/else", "", map[access.Role]int{access.RoleOperator: 404, access.RoleDesk: 404, access.RoleTool: 404, "": 403}},
		{http.MethodDelete, "/hotline/messages", "", map[access.Role]int{access.RoleDesk: 404, "": 403}},
	} {
		for role, want := range c.want {
			if got := call(t, h, role, c.method, c.path, c.body).Code; got != want {
				t.Errorf("%s %s as %q: %d, want %d", c.method, c.path, role, got, want)
			}
		}
	}
}

func TestErrorsBecomeProblems(t *testing.T) {
	invalid := &desk.InvalidError{Faults: []desk.Fault{{Field: "subject", Reason: "is required"}, {Field: "text", Reason: "is required"}}}
	for _, c := range []struct {
		name   string
		err    error
		body   string
		status int
		detail string
	}{
		{"faults_all_at_once", invalid, "{}", 422, "subject: is required; text: is required"},
		{"not_found", fmt.Errorf("no hotline: %w", store.ErrNotFound), "{}", 404, "no hotline"},
		{"conflict", fmt.Errorf("message x: %w", store.ErrConflict), "{}", 409, "message x"},
		{"full", fmt.Errorf("storing: %w", store.ErrFull), "{}", 507, "nothing was stored"},
		{"anything_else_tells_nothing", errors.New("secret"), "{}", 500, "its log says why"},
		{"no_JSON", nil, "{", 400, "reading the request"},
		{"unknown_field", nil, `{"colour":"red"}`, 400, "colour"},
		{"two_requests", nil, "{}{}", 400, "behind"},
		{"too_large", nil, `{"text":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "larger than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := call(t, handler(&hotline{err: c.err}), access.RoleDesk, http.MethodPost, desk.PathMessages, c.body)
			var p problem.Details
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
				t.Fatal(err)
			}
			if w.Code != c.status || p.Status != c.status || !strings.Contains(p.Detail, c.detail) || strings.Contains(p.Detail, "secret") {
				t.Errorf("%d %+v", w.Code, p)
			}
			if got := w.Header().Get("Content-Type"); got != problem.ContentType {
				t.Errorf("content type %q", got)
			}
		})
	}
}

func TestChecksAnswerWhatWasSeen(t *testing.T) {
	w := call(t, handler(&hotline{}), access.RoleDesk, http.MethodPost, "/check/bravo", "")
	var got desk.Check
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Peer != "bravo" {
		t.Errorf("%d %s (%v)", w.Code, w.Body, err)
	}
	if w := call(t, handler(&hotline{err: fmt.Errorf("bravo: %w", desk.ErrBusy)}), access.RoleDesk, http.MethodPost, "/check/bravo", ""); w.Code != http.StatusTooManyRequests {
		t.Errorf("a second check: %d", w.Code)
	}
}

func TestRequestsReachTheHotline(t *testing.T) {
	h := &hotline{created: true}
	if w := call(t, handler(h), access.RoleDesk, http.MethodPost, desk.PathMessages, `{"hotline":"bravo","id":"X","subject":"s"}`); w.Code != http.StatusCreated {
		t.Errorf("send: %d", w.Code)
	}
	if diff := cmp.Diff(desk.SendRequest{Hotline: "bravo", ID: "X", Subject: "s"}, h.send); diff != "" {
		t.Error(diff)
	}
	h.created = false
	if w := call(t, handler(h), access.RoleDesk, http.MethodPost, desk.PathMessages, `{}`); w.Code != http.StatusOK {
		t.Errorf("send again: %d", w.Code)
	}
	call(t, handler(h), access.RoleDesk, http.MethodGet, "/hotline/messages/in/bravo.example/X", "")
	if h.asked != "in bravo.example X" {
		t.Errorf("get asked for %q", h.asked)
	}
	call(t, handler(h), access.RoleDesk, http.MethodPost, "/hotline/messages/in/bravo.example/X/acknowledgement", `{"officer":"Duty"}`)
	if h.asked != "bravo.example X" || h.ack.Officer != "Duty" {
		t.Errorf("acknowledge asked for %q %+v", h.asked, h.ack)
	}
	call(t, handler(h), access.RoleDesk, http.MethodGet, "/hotline/messages?direction=out&peer=bravo&before=7&limit=9", "")
	if diff := cmp.Diff(store.MessageQuery{Direction: store.Out, Peer: "bravo", Before: 7, Limit: 9}, h.query); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"limit=0", "limit=-1", "limit=1001", "limit=x", "before=-1", "before=x"} {
		if w := call(t, handler(h), access.RoleDesk, http.MethodGet, "/hotline/messages?"+bad, ""); w.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", bad, w.Code)
		}
	}
}

func TestTheRecordOfTrustIsListedInPages(t *testing.T) {
	log := &trustLog{}
	p := parts(&hotline{})
	p.Trust = log
	for query, want := range map[string]store.TrustQuery{
		"":                                       {Limit: 256},
		"?subject=bravo.example&after=7&limit=9": {Subject: "bravo.example", After: 7, Limit: 9},
	} {
		if w := call(t, desk.NewHandler(p), access.RoleDesk, http.MethodGet, desk.PathTrust+query, ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"total":7`) {
			t.Errorf("%q: %d %s", query, w.Code, w.Body)
		}
		if log.query != want {
			t.Errorf("%q asks for %+v", query, log.query)
		}
	}
	for _, bad := range []string{"limit=0", "limit=4097", "after=-1", "after=x"} {
		if w := call(t, desk.NewHandler(p), access.RoleDesk, http.MethodGet, desk.PathTrust+"?"+bad, ""); w.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", bad, w.Code)
		}
	}
	p.Trust = nil
	if w := call(t, desk.NewHandler(p), access.RoleDesk, http.MethodGet, desk.PathTrust, ""); w.Code != http.StatusNotFound {
		t.Errorf("without a record: %d", w.Code)
	}
}
