// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package desk

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/certlink/certlink/relay/access"
)

// Paths of the escalation, for the role desk. {hotline} is the name of a hotline.
const (
	// PathEscalations: GET lists what notifiers were, or are to be, told, newest first
	// (→ EscalationList). Query: message, event, before, limit.
	PathEscalations = "/escalations/{hotline}"
	// PathNotifierTest: POST tells a notifier a test (→ NotifierTest). It takes no body.
	PathNotifierTest = "/escalations/{hotline}/notifiers/{notifier}/test"
)

// Escalations is what the desk asks of the escalation. It may be called concurrently. Its
// errors are those of package store.
type Escalations interface {
	// ListEscalations returns a page, newest first.
	ListEscalations(ctx context.Context, hotline string, q EscalationQuery) (EscalationList, error)
	// TestNotifier tells a notifier a test, marked as one, and says how it went.
	TestNotifier(ctx context.Context, hotline, notifier string) (NotifierTest, error)
}

// EscalationQuery selects what notifiers are told.
type EscalationQuery struct {
	// Message by id, and Event; empty means all.
	Message, Event string
	// Before is the Next of the page before; zero starts with the newest.
	Before int64
	// Limit is 1 to 1000.
	Limit int
}

// States of a notice.
const (
	// NoticeTold: the notifier took it.
	NoticeTold = "Told"
	// NoticeWaiting: it was not attempted yet.
	NoticeWaiting = "Waiting"
	// NoticeFailing: it was attempted in vain, and is attempted again.
	NoticeFailing = "Failing"
	// NoticeGivenUp: it is not attempted any more; Error says why.
	NoticeGivenUp = "GivenUp"
)

// EscalationNotice is one thing to be told to one notifier, and what became of it.
type EscalationNotice struct {
	ID string `json:"id"`
	// Event is Escalated, Settled or Delivered.
	Event string `json:"event"`
	// Stage, Step and Occurrence, from 1, of an escalation.
	Stage      string `json:"stage,omitempty"`
	Step       string `json:"step,omitempty"`
	Occurrence int32  `json:"occurrence,omitempty"`
	// Direction and Message say about which message.
	Direction string `json:"direction"`
	Message   string `json:"message"`
	// Deadline that had passed. At is when it was decided.
	Deadline time.Time `json:"deadline,omitzero"`
	At       time.Time `json:"at"`
	// Notifier by name, and State as above.
	Notifier string `json:"notifier"`
	State    string `json:"state"`
	// Attempts so far, ToldAt and NextAt when it was taken or is attempted next.
	Attempts int32     `json:"attempts"`
	ToldAt   time.Time `json:"toldAt,omitzero"`
	NextAt   time.Time `json:"nextAt,omitzero"`
	// Error of the last attempt, with what to do.
	Error string `json:"error,omitempty"`
}

// EscalationList is a page of notices.
type EscalationList struct {
	Notices []EscalationNotice `json:"notices"`
	// Next continues when put into the query as before; zero at the end.
	Next int64 `json:"next,omitempty"`
}

// NotifierTest is how a test went.
type NotifierTest struct {
	// ID of the test, as the receiver saw it.
	ID       string `json:"id"`
	Hotline  string `json:"hotline"`
	Notifier string `json:"notifier"`
	// Kind is webhook, alertmanager or smtp.
	Kind string `json:"kind"`
	// Taken: the other side took it.
	Taken bool `json:"taken"`
	// Layer that failed: Secret, Name, Network, TLS, Login or Server. Error says what to do.
	Layer string `json:"layer,omitempty"`
	Error string `json:"error,omitempty"`
	// Milliseconds that it took.
	Milliseconds int64 `json:"milliseconds"`
}

// serveEscalations adds the paths of the escalation.
func (h *handler) serveEscalations(mux *http.ServeMux, e Escalations) {
	desk := []access.Role{access.RoleDesk}
	mux.Handle("GET "+PathEscalations, only(desk, h.reply(func(r *http.Request) (int, any, error) {
		q, err := escalationQuery(r.URL.Query())
		if err != nil {
			return 0, nil, err
		}
		list, err := e.ListEscalations(r.Context(), r.PathValue("hotline"), q)
		return http.StatusOK, list, err
	})))
	mux.Handle("POST "+PathNotifierTest, only(desk, h.reply(func(r *http.Request) (int, any, error) {
		test, err := e.TestNotifier(r.Context(), r.PathValue("hotline"), r.PathValue("notifier"))
		return http.StatusOK, test, err
	})))
}

func escalationQuery(v url.Values) (EscalationQuery, error) {
	q := EscalationQuery{Message: v.Get("message"), Event: v.Get("event"), Limit: defaultList}
	var faults []Fault
	number := func(name string, most int64, into func(int64)) {
		text := v.Get(name)
		if text == "" {
			return
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 || n > most {
			faults = append(faults, Fault{Field: name, Reason: "must be 1 to " + strconv.FormatInt(most, 10)})
			return
		}
		into(n)
	}
	number("limit", 1000, func(n int64) { q.Limit = int(n) })
	number("before", 1<<62, func(n int64) { q.Before = n })
	if len(q.Message) > 64 || len(q.Event) > 64 {
		faults = append(faults, Fault{Field: "message", Reason: "message and event have at most 64 characters"})
	}
	if len(faults) > 0 {
		return EscalationQuery{}, &InvalidError{Faults: faults}
	}
	return q, nil
}
