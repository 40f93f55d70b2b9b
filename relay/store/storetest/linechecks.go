// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

var lineCheckTests = map[string]func(t *testing.T, e env){
	"keeps_line_checks_across_a_reopen":                        keepsLineChecks,
	"keeps_the_signed_forms_of_the_newest_line_checks":         keepsSignedLineChecks,
	"replaces_a_line_check_and_keeps_when_it_was_stored":       replacesLineCheck,
	"gives_the_newest_and_the_last_good_check_of_each_path":    latestLineChecks,
	"lists_line_checks_in_pages_by_slot":                       listsLineChecks,
	"sums_days_and_deletes_checks_but_the_newest_two":          sumsLineChecks,
	"forgets_the_paths_that_were_checked_longest_ago":          forgetsLineCheckPaths,
	"undoes_a_line_check_with_its_transaction":                 undoesLineCheck,
	"replaces_records_of_the_line_until_they_are_final":        keepsLineRecords,
	"gives_a_conversation_to_one_exercise":                     keepsExercises,
	"counts_messages_by_the_time_of_the_receipt_and_exercises": countsTraffic,
	"refuses_line_checks_out_of_bounds":                        lineCheckLimits,
}

const bravo = "bravo.example"

// checked is a check of ours that was answered.
func checked(path string, number int64, slot time.Time) store.LineCheck {
	return store.LineCheck{
		Direction: store.Out, Path: path, Number: number, Slot: slot, At: slot.Add(time.Second), DoneAt: slot.Add(2 * time.Second),
		Content: []byte(`{"n":` + strconv.FormatInt(number, 10) + `}`), Receipt: []byte("receipt"),
	}
}

func onLine(t *testing.T, s store.Store, do func(tx store.LineTx) error) {
	t.Helper()
	must(t, s.ChangeLine(t.Context(), bravo, do))
}

func putLineChecks(t *testing.T, s store.Store, checks ...store.LineCheck) {
	t.Helper()
	onLine(t, s, func(tx store.LineTx) error {
		for _, c := range checks {
			if err := tx.PutLineCheck(c); err != nil {
				return err
			}
		}
		return nil
	})
}

// lean is a check as lists show it.
func lean(c store.LineCheck) store.LineCheck {
	c.Statement, c.Receipt = nil, nil
	return c
}

func keepsLineChecks(t *testing.T, e env) {
	c := checked("alfa.example a:1", 1, epoch)
	in := store.LineCheck{Direction: store.In, Path: c.Path, Number: 7, Slot: epoch, At: epoch, DoneAt: epoch, Content: []byte("{}"), Statement: []byte("jws")}
	putLineChecks(t, e, c, in)
	must(t, e.Close())
	s := e.reopen(t, Options{})
	onLine(t, s, func(tx store.LineTx) error {
		got, err := tx.LineCheck(store.Out, c.Path, 1)
		must(t, err)
		same(t, "check", got, c)
		got, err = tx.LastLineCheck(store.In, c.Path)
		must(t, err)
		same(t, "check of the peer", got, in)
		if _, err := tx.LineCheck(store.Out, c.Path, 2); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("error is %v", err)
		}
		n, err := tx.LineCheckPaths(store.Out, c.At)
		same(t, "paths", n, 1)
		must(t, err)
		n, err = tx.LineCheckPaths(store.Out, c.At.Add(time.Second))
		same(t, "paths since then", n, 0)
		return err
	})
}

func keepsSignedLineChecks(t *testing.T, e env) {
	const more = 3
	other := checked("q", 1, epoch)
	putLineChecks(t, e, other)
	var all []store.LineCheck
	for n := int64(1); n <= store.SignedLineChecks+more; n++ {
		c := checked("p", n*1000, epoch.Add(time.Duration(n)*time.Minute)) // a peer may leave numbers out
		c.Statement = []byte("jws")
		all = append(all, c)
	}
	putLineChecks(t, e, all...)
	putLineChecks(t, e, all[len(all)-1])
	onLine(t, e, func(tx store.LineTx) error {
		for i, c := range all {
			got, err := tx.LineCheck(store.Out, "p", c.Number)
			must(t, err)
			if i < more {
				c = lean(c)
			}
			same(t, "check", got, c)
		}
		got, err := tx.LineCheck(store.Out, "q", 1)
		same(t, "check of another path", got, other)
		return err
	})
}

func replacesLineCheck(t *testing.T, e env) {
	c := checked("p", 1, epoch)
	begun := c
	begun.DoneAt, begun.Receipt = time.Time{}, nil
	putLineChecks(t, e, begun)
	c.At = epoch.Add(time.Hour)
	putLineChecks(t, e, c)
	c.At = begun.At
	onLine(t, e, func(tx store.LineTx) error {
		got, err := tx.LineCheck(store.Out, "p", 1)
		same(t, "check", got, c)
		return err
	})
}

func latestLineChecks(t *testing.T, e env) {
	var all []store.LineCheck
	for n := int64(1); n <= 4; n++ {
		c := checked("p", n, epoch.Add(time.Duration(n)*time.Hour))
		if n > 2 {
			c.DoneAt = time.Time{}
		}
		all = append(all, c)
	}
	never := checked("q", 1, epoch)
	never.DoneAt = time.Time{}
	putLineChecks(t, e, append(all, never)...)
	must(t, e.ChangeLine(t.Context(), "charlie.example", func(tx store.LineTx) error { return tx.PutLineCheck(checked("p", 9, epoch)) }))
	latest, err := e.LatestLineChecks(t.Context(), bravo)
	must(t, err)
	same(t, "latest", latest, []store.LineCheck{lean(all[1]), lean(all[3]), lean(never)})
}

func listsLineChecks(t *testing.T, e env) {
	var want []store.LineCheck
	for n := int64(1); n <= 5; n++ {
		for _, path := range []string{"p", "q"} {
			c := checked(path, n, epoch.Add(time.Duration(n)*time.Hour))
			putLineChecks(t, e, c)
			if n > 1 && n < 5 {
				want = append(want, lean(c))
			}
		}
	}
	q := store.LineCheckQuery{From: epoch.Add(2 * time.Hour), To: epoch.Add(5 * time.Hour), Limit: 4}
	var got []store.LineCheck
	for {
		page, err := e.ListLineChecks(t.Context(), bravo, q)
		must(t, err)
		if got = append(got, page...); len(page) < q.Limit {
			break
		}
		q.After = &page[len(page)-1]
	}
	same(t, "checks", got, want)
}

func sumsLineChecks(t *testing.T, e env) {
	for n := int64(1); n <= 4; n++ {
		putLineChecks(t, e, checked("p", n, epoch.Add(time.Duration(n)*time.Hour)))
	}
	putLineChecks(t, e, checked("q", 1, epoch))
	days := []store.LineCheckDay{{Day: 10, Content: []byte("a")}, {Day: 11, Content: []byte("b")}}
	onLine(t, e, func(tx store.LineTx) error { return tx.SumLineChecks(days, epoch.Add(4*time.Hour)) })
	left, err := e.ListLineChecks(t.Context(), bravo, store.LineCheckQuery{From: epoch, To: epoch.Add(9 * time.Hour), Limit: 10})
	must(t, err)
	same(t, "checks that are left", left, []store.LineCheck{
		lean(checked("q", 1, epoch)), lean(checked("p", 3, epoch.Add(3*time.Hour))), lean(checked("p", 4, epoch.Add(4*time.Hour))),
	})
	days[0].Content = []byte("c")
	onLine(t, e, func(tx store.LineTx) error { return tx.SumLineChecks(days[:1], epoch) })
	kept, err := e.LineCheckDays(t.Context(), bravo, 10, 12)
	must(t, err)
	same(t, "days", kept, days)
	onLine(t, e, func(tx store.LineTx) error { return tx.DropLineCheckDays(11) })
	kept, err = e.LineCheckDays(t.Context(), bravo, 0, 100)
	must(t, err)
	same(t, "days", kept, days[1:])
}

// forgetsLineCheckPaths has a peer name more and more paths: what is kept of them has an end.
func forgetsLineCheckPaths(t *testing.T, e env) {
	const more = 3
	var checks []store.LineCheck
	for i := range store.MaxLineCheckPaths + more {
		for n := range int64(2) {
			c := checked(fmt.Sprintf("p%03d", i), n+1, epoch.Add(time.Duration(i)*time.Minute))
			c.Direction = store.In
			checks = append(checks, c)
		}
	}
	// That of the oldest path is not summed up yet; ours are counted apart.
	checks[1].Slot = epoch.AddDate(1, 0, 0)
	ours := checked("ours", 1, epoch.AddDate(-1, 0, 0))
	putLineChecks(t, e, append(checks, ours)...)
	onLine(t, e, func(tx store.LineTx) error { return tx.SumLineChecks(nil, epoch.AddDate(0, 6, 0)) })
	left, err := e.ListLineChecks(t.Context(), bravo, store.LineCheckQuery{From: epoch.AddDate(-2, 0, 0), To: epoch.AddDate(2, 0, 0), Limit: store.MaxLineChecks})
	must(t, err)
	want := []store.LineCheck{lean(ours)}
	for _, c := range append(checks[2*more:], checks[1]) {
		want = append(want, lean(c))
	}
	same(t, "checks that are left", left, want)
}

func undoesLineCheck(t *testing.T, e env) {
	failed := errors.New("no")
	err := e.ChangeLine(t.Context(), bravo, func(tx store.LineTx) error {
		must(t, tx.PutLineCheck(checked("p", 1, epoch)))
		must(t, tx.PutLineRecord(store.LineRecord{Kind: "k", Name: "n", Part: "p", Content: []byte("x")}))
		return failed
	})
	if !errors.Is(err, failed) {
		t.Fatal(err)
	}
	latest, err := e.LatestLineChecks(t.Context(), bravo)
	must(t, err)
	same(t, "checks", len(latest), 0)
	if _, err := e.GetLineRecord(t.Context(), bravo, "k", "n", "p"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("error is %v", err)
	}
}

func keepsLineRecords(t *testing.T, e env) {
	put := func(name, part, content string, final bool) error {
		return e.ChangeLine(t.Context(), bravo, func(tx store.LineTx) error {
			return tx.PutLineRecord(store.LineRecord{Kind: "availability", Name: name, Part: part, Content: []byte(content), Final: final})
		})
	}
	must(t, put("2026-01", "ours", "a", false))
	must(t, put("2026-01", "ours", "b", true))
	must(t, put("2026-01", "ours", "b", false))
	if err := put("2026-01", "ours", "c", true); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a final record is replaced: %v", err)
	}
	must(t, put("2026-02", "theirs", "d", false))
	got, err := e.GetLineRecord(t.Context(), bravo, "availability", "2026-01", "ours")
	must(t, err)
	if string(got.Content) != "b" || !got.Final || got.At.IsZero() {
		t.Errorf("record is %+v", got)
	}
	list, err := e.ListLineRecords(t.Context(), bravo, "availability", 10)
	must(t, err)
	var names []string
	for _, r := range list {
		names = append(names, r.Name+"/"+r.Part)
	}
	same(t, "records", names, []string{"2026-02/theirs", "2026-01/ours"})
}

func keepsExercises(t *testing.T, e env) {
	put := func(conversation, name string) error {
		return e.ChangeLine(t.Context(), bravo, func(tx store.LineTx) error { return tx.PutExercise(conversation, name) })
	}
	must(t, put("c1", "drill"))
	must(t, put("c1", "drill"))
	if err := put("c1", "other"); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a conversation has two exercises: %v", err)
	}
	for conversation, want := range map[string]string{"c1": "drill", "c2": ""} {
		name, err := e.ExerciseOf(t.Context(), bravo, conversation)
		must(t, err)
		same(t, conversation, name, want)
	}
}

func countsTraffic(t *testing.T, e env) {
	ctx := context.Background()
	id := func(n int) string { return "01J000000000000000000000" + string(rune('A'+n)) + "X" }
	send := func(n int, conversation string, receipt time.Time) {
		m, err := e.Enqueue(ctx, bravo, func(serial int64) (store.Message, error) {
			return store.Message{ID: id(n), Conversation: conversation, Kind: "NOTIFICATION", Precedence: "ROUTINE", Payload: []byte("x"), CreatedAt: epoch}, nil
		})
		must(t, err)
		if !receipt.IsZero() {
			must(t, putReceipt(t, e, bravo, store.Receipt{ID: m.ID, Body: []byte("r"), At: receipt}))
		}
	}
	now := time.Now()
	send(0, "real", now.Add(time.Hour))
	send(1, "real", now.Add(48*time.Hour)) // another time
	send(2, "real", time.Time{})           // queued
	send(3, "drill", now.Add(2*time.Hour))
	for n, conversation := range []string{"real", "real", "drill"} {
		_, _, err := e.Accept(ctx, store.Message{
			Direction: store.In, Peer: bravo, ID: id(n), Serial: int64(n) + 1, Conversation: conversation, Kind: "NOTIFICATION", Precedence: "ROUTINE",
			Payload: []byte("x"), Signed: []byte("s"), Receipt: []byte("r"), CreatedAt: epoch, StoredAt: now, ReceiptAt: now.Add(time.Minute),
		})
		must(t, err)
	}
	onLine(t, e, func(tx store.LineTx) error { return tx.PutExercise("drill", "d") })
	got, err := e.CountTraffic(ctx, bravo, now.Add(-time.Hour), now.Add(24*time.Hour))
	must(t, err)
	if d := got.LongestReceipt; d < 59*time.Minute || d > time.Hour+time.Second {
		t.Errorf("the longest receipt took %v", d)
	}
	got.LongestReceipt = 0
	same(t, "traffic", got, store.Traffic{Sent: 1, Received: 2, ExerciseSent: 1, ExerciseReceived: 1})
}

func lineCheckLimits(t *testing.T, e env) {
	for name, c := range map[string]store.LineCheck{
		"no_direction":  {Path: "p", Number: 1},
		"no_path":       {Direction: store.Out, Number: 1},
		"no_number":     {Direction: store.Out, Path: "p"},
		"large_content": {Direction: store.Out, Path: "p", Number: 1, Content: bytes.Repeat([]byte("x"), store.MaxLineCheckContent+1)},
	} {
		if err := e.ChangeLine(t.Context(), bravo, func(tx store.LineTx) error { return tx.PutLineCheck(c) }); err == nil {
			t.Errorf("%s is stored", name)
		}
	}
	for _, limit := range []int{0, store.MaxLineChecks + 1} {
		if _, err := e.ListLineChecks(t.Context(), bravo, store.LineCheckQuery{Limit: limit}); err == nil {
			t.Errorf("a limit of %d is taken", limit)
		}
	}
}
