// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/internal/relayclient/relaytest"
	"github.com/certlink/certlink/relay/desk"
)

// pullingAt answers PathPulls with one list after the other, the last one for ever.
func pullingAt(lists ...[]desk.Pull) http.HandlerFunc {
	asked := 0
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != desk.PathPulls {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		list := lists[min(asked, len(lists)-1)]
		asked++
		if feed := r.URL.Query().Get("feed"); feed != "" && feed != "threats" {
			list = nil
		}
		_ = json.NewEncoder(w).Encode(desk.Pulls{Pulls: list})
	}
}

func TestWatchEndsWithTheLastPull(t *testing.T) {
	source := desk.Pull{Feed: "threats", Source: "partner", From: "taxii.charlie.example", Started: noon, Objects: 1000, Done: 10, Total: 100}
	imported := desk.Pull{Feed: "from-bravo", From: "bravo", Started: noon, Objects: 5}
	later, done := source, source
	later.Objects, later.Done = 5000, 50
	done.Started, done.Stored, done.LastSuccess = time.Time{}, 12345, noon
	full, failing := imported, imported
	full.Started, full.QuotaReached, full.LastSuccess = time.Time{}, true, noon
	failing.Feed, failing.From, failing.Started, failing.Error, failing.Refused = "from-charlie", "charlie", time.Time{}, "charlie does not know us", 3
	relay := relaytest.Desk(t, pullingAt(
		[]desk.Pull{source, imported}, []desk.Pull{source, imported}, []desk.Pull{later, full}, []desk.Pull{done, full, failing},
	))
	o, s := setup(t)
	if err := o.watch(t.Context(), relay, "", time.Millisecond); err != nil {
		t.Fatal(err)
	}
	want := "threats.partner from taxii.charlie.example: 1000 objects, 10 %\nfrom-bravo from bravo: 5 objects\nthreats.partner from taxii.charlie.example: 5000 objects, 50 %\n"
	if diff := cmp.Diff(want, s.errOut.String()); diff != "" {
		t.Errorf("the lines (-want +got):\n%s", diff)
	}
	golden(t, "watch.txt", s.out.String())
	expect(t, o.watch(t.Context(), relay, "nothing", time.Millisecond), `pulls nothing for a feed "nothing"`)
}

func TestTheBarShowsAllPullsTogether(t *testing.T) {
	o, s := setup(t)
	show := o.bar()
	one := desk.Pull{Feed: "threats", Source: "partner", Started: noon, Objects: 1000, Done: 20, Total: 100}
	if !show([]desk.Pull{one, {Feed: "from-bravo", Started: noon, Objects: 7}}) {
		t.Error("it ends while pulls are under way")
	}
	if got := s.errOut.String(); !strings.Contains(got, "2 pulls, 1007 objects") || !strings.Contains(got, "20%") {
		t.Errorf("the bar is %q", got)
	}
	if !show([]desk.Pull{{Feed: "from-bravo", Started: noon, Objects: 8}}) || show([]desk.Pull{{Feed: "from-bravo"}}) {
		t.Error("it does not end with the last pull")
	}
}
