// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/internal/relayclient/relaytest"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
)

// answering is a relay that gives one answer to one request, and knows nothing else.
func answering(t *testing.T, request string, answer any) *relayclient.Client {
	return relaytest.Desk(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Method + " " + r.URL.Path; !strings.HasSuffix(got, request) || answer == nil {
			http.Error(w, got, http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
}

func lineRun() desk.LineCheckRun {
	return desk.LineCheckRun{Hotline: "to-bravo", Peer: "bravo.example", At: noon, Checks: []desk.LineChecked{
		{DialledBy: "alfa.example", Address: "a.bravo:8443", Direction: "sent", State: "Answered", Number: 41, RoundTripMicroseconds: 2345, OurTime: noon, TheirTime: noon.Add(time.Millisecond), SignedBy: "spiffe://bravo.example/signing"},
		{DialledBy: "alfa.example", Address: "a.bravo:8443", Direction: "received", State: "Answered", Number: 7, OurTime: noon.Add(-time.Minute), TheirTime: noon.Add(-time.Minute), SignedBy: "spiffe://bravo.example/signing"},
		{DialledBy: "bravo.example", Address: "b.alfa:8443", Direction: "sent", State: "Missed", Number: 12, OurTime: noon, Failure: "no answer within 20s\x1b[2J"},
		{DialledBy: "bravo.example", Address: "b.alfa:8443", Direction: "received", State: "NotDeclared"},
	}}
}

func TestALineCheckIsShown(t *testing.T) {
	good := lineRun()
	good.Checks = good.Checks[:2]
	cut := lineRun() // the scheduled check was answered, and the one of now found no connection
	cut.Checks = []desk.LineChecked{cut.Checks[0], cut.Checks[1]}
	cut.Checks[0] = desk.LineChecked{DialledBy: "bravo.example", Address: "b.alfa:8443", Direction: "sent", State: "Answered", Failure: "there is no connection on this path, which the peer dials"}
	for name, test := range map[string]struct {
		run    any
		output format
		err    string
	}{
		"linecheck.txt":      {lineRun(), asTable, "1 of 4 directions of paths are not good"},
		"linecheck-good.txt": {good, asTable, ""},
		"linecheck.json":     {good, asJSON, ""},
		"linecheck-bad.json": {lineRun(), asJSON, "1 of 4 directions of paths are not good"},
		"linecheck-bad.yaml": {lineRun(), asYAML, "1 of 4 directions of paths are not good"},
		"linecheck-cut.txt":  {cut, asTable, "1 of 2 directions of paths are not good"},
		"linecheck-cut.json": {cut, asJSON, "1 of 2 directions of paths are not good"},
		"nowhere":            {nil, asTable, `"to-bravo"`},
	} {
		t.Run(name, func(t *testing.T) {
			o, s := setup(t)
			relay := answering(t, "POST /hotline/linechecks/to-bravo", test.run)
			expect(t, o.lineCheck(t.Context(), relay, "to-bravo", &test.output), test.err)
			if test.run != nil {
				golden(t, name, s.out.String())
			}
		})
	}
}

func availability() desk.Availability {
	record := `{"version":1,"by":"alfa.example","with":"bravo.example","until":"2026-03-01T00:00:00Z","slots":720,"slots_answered":719,"availability":"99.861",
		"paths":[{"from":"alfa.example","path":{"dialled_by":"alfa.example","address":"a.bravo:8443"},"sent":720,"good":700,"missed":20,"not_tested":4,"longest_gap_seconds":72000,"availability":"97.222"}],
		"messages":{"sent":12,"received":9}}`
	return desk.Availability{
		Hotline: "to-bravo", Peer: "bravo.example", Month: "2026-02", State: desk.AvailabilityDisagreed,
		Ours:   &desk.SignedRecord{Record: json.RawMessage(record), JWS: "a.b.c", Verified: true, CounterJWS: "d.e.f", CounterVerified: true, Agreed: true},
		Theirs: &desk.SignedRecord{Record: json.RawMessage(strings.Replace(record, "alfa", "bravo", 1)), JWS: "g.h.i", Verified: true, CounterJWS: "j.k.l", CounterVerified: true, Differences: []string{"messages from bravo.example: 12\u202e, 9"}},
	}
}

func TestARecordIsShownAndExported(t *testing.T) {
	alone := availability()
	alone.State, alone.Theirs, alone.Error = desk.AvailabilityUnsigned, nil, "there is no path to the peer"
	alone.Ours.CounterJWS, alone.Ours.CounterVerified, alone.Ours.Verified, alone.Ours.Fault = "", false, false, "the chain ends nowhere"
	forged := availability()
	forged.Theirs.Verified, forged.Theirs.Fault = false, "the statement was changed"
	for name, test := range map[string]struct {
		flags  recordFlags
		answer any
		err    string
	}{
		"record.txt":        {recordFlags{}, availability(), ""},
		"record.json":       {recordFlags{output: asJSON, month: "2026-02"}, availability(), ""},
		"record-alone.txt":  {recordFlags{}, alone, "the peer could not be asked just now: there is no path"},
		"record-alone.json": {recordFlags{output: asJSON}, alone, "the peer could not be asked just now: there is no path"},
		"record-forged.txt": {recordFlags{}, forged, "a signature under the record of 2026-02 (theirs) is not good: the statement was changed"},
		"nothing":           {recordFlags{}, nil, "no record of 2026-02 yet"},
	} {
		t.Run(name, func(t *testing.T) {
			o, s := setup(t)
			err := o.lineRecord(t.Context(), answering(t, "GET /hotline/availability/to-bravo/2026-02", test.answer), "to-bravo", &test.flags)
			expect(t, err, test.err)
			if test.answer != nil {
				golden(t, name, s.out.String())
			}
		})
	}
	o, _ := setup(t)
	dir := filepath.Join(t.TempDir(), "record")
	f := recordFlags{directory: dir, now: true, month: "2026-02"}
	expect(t, o.lineRecord(t.Context(), answering(t, "POST /hotline/availability/to-bravo/2026-02", availability()), "to-bravo", &f), "")
	for file, want := range map[string]string{
		"2026-02.ours.jws": "a.b.c\n", "2026-02.ours.countersignature.jws": "d.e.f\n", "2026-02.theirs.jws": "g.h.i\n", "2026-02.theirs.countersignature.jws": "j.k.l\n",
	} {
		if got, err := os.ReadFile(filepath.Join(dir, file)); err != nil || string(got) != want {
			t.Errorf("%s has %q, %v", file, got, err)
		}
	}
}

// drills are messages of an exercise, and such as only look like it.
func drills() []desk.Message {
	sure := received()
	sure.Exercise, sure.RSIT, sure.Subject = "spring", message.TestCode, "EXERCISE EXERCISE EXERCISE Scans"
	unsure := received()
	unsure.ID, unsure.Exercise, unsure.RSIT, unsure.Suspicious = "01J0000000000000000000000K", "spring", "fraud", "names an exercise, but is not coded as a test: take it for real"
	outside := received()
	outside.ID, outside.RSIT, outside.Suspicious = "01J0000000000000000000000M", message.TestCode, "is coded as a test, but names no exercise: take it for real until the peer says otherwise"
	answer := received()
	answer.Direction, answer.ID, answer.Kind, answer.InReplyTo = "out", "01J0000000000000000000000N", "ANSWER", sure.ID
	answer.Exercise, answer.RSIT, answer.Subject = sure.Exercise, sure.RSIT, sure.Subject
	return []desk.Message{answer, outside, unsure, sure}
}

func TestADrillIsUnmistakableWhereverItIsShown(t *testing.T) {
	all := drills()
	for name, show := range map[string]func(o *options) error{
		"exercise-inbox.txt": func(o *options) error { return o.inbox(t.Context(), office(t, all), &inboxFlags{limit: 9}) },
		"exercise-list.txt":  func(o *options) error { return o.printMessages(all) },
		"exercise-thread.txt": func(o *options) error {
			return o.thread(t.Context(), office(t, all), all[3].ID, &threadFlags{limit: 9})
		},
		"exercise-message.txt":    func(o *options) error { return o.printMessage(o.Out, all[3]) },
		"exercise-suspicious.txt": func(o *options) error { return o.printMessage(o.Out, all[2]) },
	} {
		t.Run(name, func(t *testing.T) {
			o, s := setup(t)
			expect(t, show(o), "")
			golden(t, name, s.out.String())
		})
	}
}

func TestTheReportOfADrillIsShown(t *testing.T) {
	report := desk.ExerciseReport{
		Name: "spring", Hotline: "to-bravo", By: "alfa.example", Peer: "bravo.example", Officer: "Ada", Start: noon, At: noon.Add(time.Hour), JWS: "a.b.c",
		Steps: []desk.ExerciseStep{
			{Step: 1, Message: "01J", Subject: "EXERCISE EXERCISE EXERCISE Scans", Precedence: "FLASH", Sent: noon, Receipt: noon.Add(40 * time.Millisecond), ReceiptKept: "Yes", Acknowledged: noon.Add(9 * time.Minute), AckKept: "No"},
			{Step: 2, Message: "02J", Subject: "EXERCISE EXERCISE EXERCISE Question\x1b", Precedence: "ROUTINE", AnswerKept: "Waits"},
		},
	}
	agreed, differs := report, report
	agreed.Countersignature = &desk.ExerciseCountersignature{By: "bravo.example", At: noon.Add(2 * time.Hour), Agreed: true, JWS: "d.e.f"}
	differs.Countersignature = &desk.ExerciseCountersignature{By: "bravo.example", At: noon.Add(2 * time.Hour), Differences: []string{"step 1, stored: the report says never\u202e"}}
	for name, test := range map[string]struct {
		report any
		output format
		err    string
	}{
		"drill-running.txt": {report, asTable, ""},
		"drill-agreed.txt":  {agreed, asTable, ""},
		"drill-differs.txt": {differs, asTable, ""},
		"drill.json":        {agreed, asJSON, ""},
		"nowhere":           {nil, asTable, `there is no exercise "spring"`},
	} {
		t.Run(name, func(t *testing.T) {
			o, s := setup(t)
			expect(t, o.exerciseReport(t.Context(), answering(t, "GET /hotline/exercises/to-bravo/spring", test.report), "to-bravo", "spring", &test.output), test.err)
			if test.report != nil {
				golden(t, name, s.out.String())
			}
		})
	}
}
