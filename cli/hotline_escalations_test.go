// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/relayclient/relaytest"
	"github.com/certlink/certlink/relay/desk"
)

func escalating(w http.ResponseWriter, r *http.Request) {
	var answer any
	switch r.Method + " " + r.URL.Path {
	case "GET /escalations/to-bravo":
		if q := r.URL.Query(); q.Get("event") == "Delivered" {
			answer = desk.EscalationList{Notices: []desk.EscalationNotice{}}
			break
		}
		answer = desk.EscalationList{Next: 7, Notices: []desk.EscalationNotice{
			{
				ID: "b", Event: "Escalated", Stage: "Acknowledgement", Step: "chief", Occurrence: 1, Direction: "out", Message: provenID, Deadline: noon, At: noon.Add(time.Minute),
				Notifier: "mail", State: desk.NoticeFailing, Attempts: 3, NextAt: noon.Add(time.Hour), Error: "no connection\x1b[2J to the mail server",
			},
			{ID: "a", Event: "Delivered", Direction: "in", Message: provenID, At: noon, Notifier: "pager", State: desk.NoticeTold, Attempts: 1, ToldAt: noon},
		}}
	case "POST /escalations/to-bravo/notifiers/pager/test":
		answer = desk.NotifierTest{ID: "test-1", Hotline: "to-bravo", Notifier: "pager", Kind: "webhook", Taken: true, Milliseconds: 12}
	case "POST /escalations/to-bravo/notifiers/mail/test":
		answer = desk.NotifierTest{ID: "test-2", Hotline: "to-bravo", Notifier: "mail", Kind: "smtp", Layer: "Login", Error: "mend username and password in the Secret"}
	default:
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func TestEscalations(t *testing.T) {
	relay := relaytest.Desk(t, http.HandlerFunc(escalating))
	for name, tt := range map[string]struct {
		hotline string
		query   desk.EscalationQuery
		output  format
		golden  string
		fails   string
	}{
		"for_people":       {"to-bravo", desk.EscalationQuery{}, asTable, "escalations.txt", ""},
		"for_programs":     {"to-bravo", desk.EscalationQuery{}, asJSON, "escalations.json", ""},
		"none":             {"to-bravo", desk.EscalationQuery{Event: "Delivered"}, asTable, "escalations-none.txt", ""},
		"of_no_such_event": {"to-bravo", desk.EscalationQuery{Event: "Sent"}, asTable, "", "not one of"},
		"of_no_hotline":    {"to-nobody", desk.EscalationQuery{}, asTable, "", `our relay has no hotline "to-nobody"`},
	} {
		t.Run(name, func(t *testing.T) {
			o, s := setup(t)
			expect(t, o.escalations(t.Context(), relay, tt.hotline, tt.query, &tt.output), tt.fails)
			if tt.golden != "" {
				golden(t, tt.golden, s.out.String())
			}
		})
	}
}

func TestNotifyTestSaysWhichLayerFails(t *testing.T) {
	relay := relaytest.Desk(t, http.HandlerFunc(escalating))
	table := asTable
	o, s := setup(t)
	expect(t, o.notifyTest(t.Context(), relay, "to-bravo", "pager", &table), "")
	if got := s.out.String(); !strings.Contains(got, "pager (webhook) took the test test-1 in 12 ms") {
		t.Errorf("it says %q", got)
	}
	o, _ = setup(t)
	expect(t, o.notifyTest(t.Context(), relay, "to-bravo", "mail", &table), "failed at the layer Login: mend username and password")
	expect(t, o.notifyTest(t.Context(), relay, "to-bravo", "nobody", &table), `no hotline "to-bravo" with a notifier "nobody"`)
}
