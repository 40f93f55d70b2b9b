// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

var escalationTests = map[string]func(t *testing.T, e env){
	"lists_what_our_desk_has_not_read":                          listsUnreadOfPeer,
	"knows_which_messages_of_ours_wait_for_an_answer":           knowsUnanswered,
	"takes_each_occurrence_of_a_step_once":                      takesStepsOnce,
	"settles_the_steps_of_one_message_and_stage":                settlesSteps,
	"keeps_notices_across_a_reopen_and_lists_them_newest_first": keepsNotices,
	"keeps_an_error_of_any_bytes":                               keepsAnyError,
	"undoes_a_step_with_what_was_done_beside_it":                undoesStep,
	"moves_the_announced_position_once_each":                    movesAnnounced,
}

func step(message, name string, taken int32) store.Escalation {
	return store.Escalation{
		Direction: store.Out, Message: message, Stage: "Receipt", Step: name, Taken: taken,
		FirstAt: epoch.Truncate(time.Microsecond), LastAt: epoch.Add(time.Hour).Truncate(time.Microsecond),
	}
}

func notice(id, message string, mods ...func(*store.Notice)) store.Notice {
	n := store.Notice{
		ID: id, Peer: "bravo.example", Event: "Escalated", Stage: "Receipt", Step: "first", Occurrence: 1, Direction: store.Out, Message: message,
		Notifier: "pager", Deadline: epoch.Truncate(time.Microsecond), At: epoch.Truncate(time.Microsecond), NextAt: epoch.Truncate(time.Microsecond),
	}
	for _, mod := range mods {
		mod(&n)
	}
	return n
}

func openSteps(t *testing.T, s store.Store) []store.Escalation {
	t.Helper()
	open, err := s.OpenEscalations(t.Context(), "bravo.example", store.Escalation{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	return open
}

func openNotices(t *testing.T, s store.Store) []store.Notice {
	t.Helper()
	open, err := s.OpenNotices(t.Context(), store.OpenQuery{Peer: "bravo.example", Notifier: "pager", Due: epoch, Beyond: epoch.Add(time.Hour), Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	return open
}

func listsUnreadOfPeer(t *testing.T, e env) {
	for n, id := range []string{"A", "B", "C"} {
		mustAccept(t, e, received(id, int64(n+1)))
	}
	mustAccept(t, e, received("D", 4, ackOf("nothing")))
	mustEnqueue(t, e, message("E", ackOf("B")))
	unread, err := e.Unread(t.Context(), "bravo.example", 10)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "unread", messageIDs(unread), []string{"A", "C"})
	if len(unread[0].Payload) > 0 || unread[0].StoredAt.IsZero() {
		t.Errorf("an unread message is %+v", unread[0])
	}
	if unread, err = e.Unread(t.Context(), "bravo.example", 1); err != nil || len(unread) != 1 || unread[0].ID != "A" {
		t.Errorf("the oldest one: %v, %v", messageIDs(unread), err)
	}
	if _, err := e.Unread(t.Context(), "bravo.example", 0); err == nil {
		t.Error("no limit is accepted")
	}
	listsArrivals(t, e)
	mustAccept(t, e, received("F", 5, precedence("FLASH")))
	if unread, err = e.Unread(t.Context(), "bravo.example", 1); err != nil || len(unread) != 1 || unread[0].ID != "F" {
		t.Errorf("the most urgent one: %v, %v", messageIDs(unread), err)
	}
}

// listsArrivals reads what listsUnreadOfPeer stored.
func listsArrivals(t *testing.T, e env) {
	t.Helper()
	arrived, err := e.Arrived(t.Context(), "bravo.example", 0, 10)
	if err != nil || len(arrived) != 4 {
		t.Fatalf("%d arrived: %v", len(arrived), err)
	}
	rest, err := e.Arrived(t.Context(), "bravo.example", arrived[1].Position, 10)
	if err != nil || len(rest) != 2 || rest[0].ID != "C" || rest[1].Position != arrived[3].Position {
		t.Errorf("after the second: %+v, %v", rest, err)
	}
	last, err := e.ArrivedBefore(t.Context(), "bravo.example", arrived[3].StoredAt.Add(time.Hour))
	if err != nil || last != arrived[3].Position {
		t.Errorf("the last one is at %d, not %d: %v", last, arrived[3].Position, err)
	}
	if none, err := e.ArrivedBefore(t.Context(), "bravo.example", arrived[0].StoredAt); err != nil || none != 0 {
		t.Errorf("before the first: %d, %v", none, err)
	}
}

func knowsUnanswered(t *testing.T, e env) {
	kind := func(k string) func(*store.Message) { return func(m *store.Message) { m.Kind = k } }
	payload := func(text string) func(*store.Message) { return func(m *store.Message) { m.Payload = []byte(text) } }
	reply := func(k, to string) func(*store.Message) { return func(m *store.Message) { m.Kind, m.InReplyTo = k, to } }
	mustEnqueue(t, e, message("A"))
	mustEnqueue(t, e, message("B", kind("NOTIFICATION")))
	mustEnqueue(t, e, message("C", kind("NOTIFICATION"), payload(`{"answer_by":"2026-01-02T03:04:05Z"}`)))
	mustEnqueue(t, e, message("D", kind("PRESERVE")))
	mustEnqueue(t, e, message("E", kind("PRESERVE")))
	wants := func(what string, ids ...string) {
		t.Helper()
		list, err := e.Unanswered(t.Context(), "bravo.example", 10)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range list {
			got = append(got, a.ID)
			if a.StoredAt.IsZero() || a.Precedence != "ROUTINE" || a.Direction != store.Out || (a.ID == "C") == a.AnswerBy.IsZero() {
				t.Errorf("%s: %+v", what, a)
			}
		}
		same(t, what, got, ids)
	}
	wants("at first", "A", "C", "D", "E")
	mustAccept(t, e, received("R1", 1, reply("ACK", "A")))
	mustAccept(t, e, received("R2", 2, reply("INQUIRY", "A")))
	wants("after an acknowledgement and a question", "A", "C", "D", "E")
	mustAccept(t, e, received("R3", 3, reply("ANSWER", "A")))
	mustAccept(t, e, received("R4", 4, reply("PRESERVE_ACK", "D")))
	wants("after two answers", "C", "E")
	mustEnqueue(t, e, message("F", kind("CANCEL"), payload(`{"references":[{"id":"E"}]}`)))
	wants("after a cancellation of ours", "C")
	for id, want := range map[string]bool{"A": false, "C": true, "E": false, "F": false} {
		if waits, err := e.IsUnanswered(t.Context(), "bravo.example", id); err != nil || waits != want {
			t.Errorf("%s waits: %v, %v", id, waits, err)
		}
	}
}

func takesStepsOnce(t *testing.T, e env) {
	take := func(s store.Escalation) error {
		return e.ChangeLine(t.Context(), "bravo.example", func(l store.LineTx) error { return l.TakeStep(s) })
	}
	for _, s := range []store.Escalation{step("A", "first", 1), step("A", "first", 2), step("A", "second", 1), step("B", "first", 1)} {
		if err := take(s); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []store.Escalation{step("A", "first", 1), step("A", "first", 2), step("A", "first", 4), step("C", "first", 2)} {
		wantErr(t, take(s), store.ErrConflict)
	}
	same(t, "open", openSteps(t, e), []store.Escalation{step("A", "first", 2), step("A", "second", 1), step("B", "first", 1)})
	var paged []store.Escalation
	for after := (store.Escalation{}); len(paged) < 4; after = paged[len(paged)-1] {
		page, err := e.OpenEscalations(t.Context(), "bravo.example", after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if paged = append(paged, page...); len(page) < 2 {
			break
		}
	}
	same(t, "open, in pages", paged, openSteps(t, e))
	if other, err := e.OpenEscalations(t.Context(), "charlie.example", store.Escalation{}, 10); err != nil || len(other) != 0 {
		t.Errorf("of another peer: %v, %v", other, err)
	}
}

func settlesSteps(t *testing.T, e env) {
	tried := func(n *store.Notice) { n.Attempts, n.NextAt = 1, time.Time{} }
	failing := func(n *store.Notice) { n.Attempts = 2 }
	over := func(n *store.Notice) { n.Attempts, n.NextAt, n.Error = 2, time.Time{}, "settled" }
	mustChange(t, e, func(l store.LineTx) error {
		for _, s := range []store.Escalation{step("A", "first", 1), step("A", "second", 1), step("B", "first", 1)} {
			if err := l.TakeStep(s); err != nil {
				return err
			}
		}
		for _, n := range []store.Notice{notice("1", "A", tried), notice("2", "A"), notice("3", "B"), notice("4", "A", failing)} {
			if err := l.PutNotice(n); err != nil {
				return err
			}
		}
		return nil
	})
	mustChange(t, e, func(l store.LineTx) error {
		told, err := l.SettleSteps(store.Out, "A", "Receipt", "settled")
		same(t, "told", told, []store.Notice{notice("1", "A", tried), notice("4", "A", over)})
		return err
	})
	same(t, "open", openSteps(t, e), []store.Escalation{step("B", "first", 1)})
	same(t, "open notices", openNotices(t, e), []store.Notice{notice("3", "B")})
	page, err := e.ListNotices(t.Context(), store.NoticeQuery{Peer: "bravo.example", Message: "A", Limit: 10})
	if err != nil || len(page.Notices) != 3 || page.Notices[1].Error != "settled" || !page.Notices[1].NextAt.IsZero() {
		t.Errorf("of the message: %+v, %v", page, err)
	}
	// An attempt that ends now does not open it again.
	mustChange(t, e, func(l store.LineTx) error { return l.PutNotice(notice("4", "A", failing)) })
	same(t, "still open notices", openNotices(t, e), []store.Notice{notice("3", "B")})
	// What was settled can begin anew.
	mustChange(t, e, func(l store.LineTx) error { return l.TakeStep(step("A", "first", 1)) })
	same(t, "open again", openSteps(t, e), []store.Escalation{step("A", "first", 1), step("B", "first", 1)})
}

func keepsNotices(t *testing.T, e env) {
	routine := func(n *store.Notice) { n.Urgency = 3 }
	later := notice("2", "B", routine, func(n *store.Notice) {
		n.Batch, n.Attempts, n.Error, n.NextAt = "b", 3, "the server is silent", epoch.Add(time.Minute).Truncate(time.Microsecond)
	})
	mustChange(t, e, func(l store.LineTx) error {
		for _, n := range []store.Notice{notice("1", "A", routine), notice("2", "B", routine), notice("3", "C", func(n *store.Notice) { n.Event = "Delivered" }), later} {
			if err := l.PutNotice(n); err != nil {
				return err
			}
		}
		return nil
	})
	for name, bad := range map[string]store.Notice{"without id": {Event: "x", Notifier: "y"}, "without notifier": {ID: "x", Event: "y"}} {
		if err := e.ChangeLine(t.Context(), "bravo.example", func(l store.LineTx) error { return l.PutNotice(bad) }); err == nil {
			t.Errorf("a notice %s is accepted", name)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	s := e.reopen(t, Options{})
	q := store.OpenQuery{Peer: "bravo.example", Notifier: "pager", Due: epoch, Beyond: epoch.Add(time.Hour), Limit: 10}
	open, err := s.OpenNotices(t.Context(), q)
	if err != nil || len(open) != 2 || open[0].ID != "3" || open[1].ID != "1" {
		t.Fatalf("due, the most urgent first: %+v, %v", open, err)
	}
	q.Beyond = epoch.Add(time.Second)
	if open, err = s.OpenNotices(t.Context(), q); err != nil || len(open) != 3 {
		t.Fatalf("%d are due when the clock was ahead: %v", len(open), err)
	}
	q.Batch = "b"
	if open, err = s.OpenNotices(t.Context(), q); err != nil || len(open) != 1 || open[0].ID != "2" {
		t.Fatalf("of a batch: %+v, %v", open, err)
	}
	failed, err := s.FailedNotices(t.Context(), "bravo.example", 10)
	same(t, "what was put again", failed, []store.Notice{later})
	if err != nil {
		t.Fatal(err)
	}
	abandonsNotices(t, s)
	listsNotices(t, s)
}

// abandonsNotices gives up what keepsNotices stored.
func abandonsNotices(t *testing.T, s store.Store) {
	t.Helper()
	if err := s.ChangeLine(t.Context(), "bravo.example", func(l store.LineTx) error { return l.AbandonNotices([]string{"pager"}, "gone") }); err != nil || len(openNotices(t, s)) != 2 {
		t.Errorf("notices of a notifier that stays are given up: %v", err)
	}
	if err := s.ChangeLine(t.Context(), "bravo.example", func(l store.LineTx) error { return l.AbandonNotices(nil, "gone") }); err != nil || len(openNotices(t, s)) != 0 {
		t.Errorf("notices of a notifier that is gone stay: %v", err)
	}
}

// listsNotices reads what keepsNotices stored, in pages.
func listsNotices(t *testing.T, s store.Store) {
	t.Helper()
	var got []string
	pages := store.NoticeQuery{Peer: "bravo.example", Limit: 2}
	for {
		page, err := s.ListNotices(t.Context(), pages)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range page.Notices {
			got = append(got, n.ID)
		}
		if pages.Before = page.Next; page.Next == 0 {
			break
		}
	}
	same(t, "newest first", fmt.Sprint(got), "[3 2 1]")
	page, err := s.ListNotices(t.Context(), store.NoticeQuery{Peer: "bravo.example", Event: "Delivered", Limit: 9})
	if err != nil || len(page.Notices) != 1 || page.Notices[0].ID != "3" {
		t.Errorf("of one event: %+v, %v", page, err)
	}
}

func undoesStep(t *testing.T, e env) {
	failed := fmt.Errorf("no")
	err := e.ChangeLine(t.Context(), "bravo.example", func(l store.LineTx) error {
		if err := l.TakeStep(step("A", "first", 1)); err != nil {
			return err
		}
		if err := l.PutNotice(notice("1", "A")); err != nil {
			return err
		}
		if err := l.SetAnnounced(-1, 7); err != nil {
			return err
		}
		return failed
	})
	wantErr(t, err, failed)
	if _, known, err := e.Announced(t.Context(), "bravo.example"); known || err != nil || len(openNotices(t, e)) != 0 || len(openSteps(t, e)) != 0 {
		t.Errorf("something is left: %v", err)
	}
}

func movesAnnounced(t *testing.T, e env) {
	move := func(from, to int64) error {
		return e.ChangeLine(t.Context(), "bravo.example", func(l store.LineTx) error { return l.SetAnnounced(from, to) })
	}
	at := func(want int64, wantKnown bool) {
		t.Helper()
		got, known, err := e.Announced(t.Context(), "bravo.example")
		if err != nil || got != want || known != wantKnown {
			t.Errorf("announced up to %d, %v, %v", got, known, err)
		}
	}
	at(0, false)
	wantErr(t, move(0, 5), store.ErrConflict)
	for _, step := range [][2]int64{{-1, 0}, {0, 5}} {
		if err := move(step[0], step[1]); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, move(0, 9), store.ErrConflict)
	at(5, true)
	if err := move(5, -1); err != nil {
		t.Fatal(err)
	}
	at(0, false)
}

// keepsAnyError: what a server answered may hold anything. What the engine cannot keep of it is left out; the attempt is noted.
func keepsAnyError(t *testing.T, e env) {
	odd := notice("1", "A", func(n *store.Notice) { n.Attempts, n.Error = 2, "550 \x00 \xff no" })
	mustChange(t, e, func(l store.LineTx) error { return l.PutNotice(odd) })
	page, err := e.ListNotices(t.Context(), store.NoticeQuery{Peer: "bravo.example", Limit: 10})
	if err != nil || len(page.Notices) != 1 || page.Notices[0].Attempts != 2 || !strings.HasPrefix(page.Notices[0].Error, "550 ") || !strings.HasSuffix(page.Notices[0].Error, " no") {
		t.Errorf("it is kept as %+v, %v", page.Notices, err)
	}
	mustChange(t, e, func(l store.LineTx) error { return l.AbandonNotices(nil, "gone \x00\xfe") })
}
