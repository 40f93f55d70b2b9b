// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/certlink/certlink/internal/relayclient/relaytest"
	"github.com/certlink/certlink/relay/desk"
)

// quarantining answers PathQuarantine for the import from-bravo, in pages of one.
func quarantining(w http.ResponseWriter, r *http.Request) {
	items := []desk.QuarantineItem{
		{Item: 3, Object: "indicator--1", Version: noon, Reason: "Forked", Since: noon, State: "Held"},
		{Item: 9, Object: "identity--2", Reason: "CreatorNotAllowed", Since: noon, State: "Dropped", SettledAt: noon, SettledBy: "officer\x1b[31m"},
	}
	query := r.URL.Query()
	var request desk.SettleRequest
	if r.Method == http.MethodPost {
		_ = json.NewDecoder(r.Body).Decode(&request)
	}
	switch {
	case r.URL.Path != desk.PathQuarantine, r.Method == http.MethodGet && query.Get("feed") != "from-bravo", request.Item > 9:
		w.WriteHeader(http.StatusNotFound)
	case request.Item == 9:
		w.WriteHeader(http.StatusConflict)
	case r.Method == http.MethodPost:
		items[0].State, items[0].SettledBy = map[bool]string{true: "Accepted", false: "Dropped"}[request.Accept], request.Officer
		_ = json.NewEncoder(w).Encode(items[0])
	case query.Get("object") != "":
		items[0].Content = []byte(`{"id": "indicator--1"}`)
		_ = json.NewEncoder(w).Encode(desk.Quarantine{Feed: "from-bravo", Held: 1, Items: items[:1]})
	case query.Get("after") == "":
		_ = json.NewEncoder(w).Encode(desk.Quarantine{Feed: "from-bravo", Held: 1, Bytes: 22, Overflow: 4, Items: items[:1], Next: 3})
	default:
		_ = json.NewEncoder(w).Encode(desk.Quarantine{Feed: "from-bravo", Held: 1, Bytes: 22, Overflow: 4, Items: items[1:]})
	}
}

func TestQuarantineIsListed(t *testing.T) {
	relay := relaytest.Desk(t, http.HandlerFunc(quarantining))
	for name, output := range map[string]format{"quarantine.txt": asTable, "quarantine.json": asJSON} {
		o, s := setup(t)
		if err := o.quarantine(t.Context(), relay, "from-bravo", &quarantineFlags{all: true, output: output}); err != nil {
			t.Fatal(err)
		}
		golden(t, name, s.out.String())
		if output == asTable && !strings.Contains(s.errOut.String(), "4 times something found no room") {
			t.Errorf("it says %q", s.errOut)
		}
	}
	o, _ := setup(t)
	expect(t, o.quarantine(t.Context(), relay, "from-charlie", &quarantineFlags{}), `no import "from-charlie"`)
}

func TestQuarantineShowsTheContent(t *testing.T) {
	relay := relaytest.Desk(t, http.HandlerFunc(quarantining))
	o, s := setup(t)
	if err := o.quarantine(t.Context(), relay, "from-bravo", &quarantineFlags{show: "indicator--1"}); err != nil || s.out.String() != `{"id": "indicator--1"}`+"\n" {
		t.Errorf("got %v, %q", err, s.out)
	}
}

func TestQuarantineIsSettled(t *testing.T) {
	relay := relaytest.Desk(t, http.HandlerFunc(quarantining))
	for name, tt := range map[string]struct {
		flags quarantineFlags
		want  string
	}{
		"accepted": {quarantineFlags{accept: 3}, "item 3 of from-bravo, indicator--1: Accepted\n"},
		"dropped":  {quarantineFlags{drop: 3}, "item 3 of from-bravo, indicator--1: Dropped\n"},
	} {
		t.Run(name, func(t *testing.T) {
			o, s := setup(t)
			if err := o.settle(t.Context(), relay, "from-bravo", "officer", &tt.flags); err != nil || s.out.String() != tt.want {
				t.Errorf("got %v, %q", err, s.out)
			}
		})
	}
	o, _ := setup(t)
	expect(t, o.settle(t.Context(), relay, "from-bravo", "officer", &quarantineFlags{drop: 9}), "settled already")
	expect(t, o.settle(t.Context(), relay, "from-bravo", "officer", &quarantineFlags{accept: 10}), "no item 10")
}
