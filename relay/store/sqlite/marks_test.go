// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

// TestPlansOfMessageLists: no list scans all messages; the unread, those of one id and those
// of one conversation are few, and sorted.
func TestPlansOfMessageLists(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	for name, tt := range map[string]struct {
		q     store.MessageQuery
		sorts bool
	}{
		"terms of one side": {store.MessageQuery{Direction: store.In, Peer: "b", Kind: "TERM", Before: 7, Limit: 9}, false},
		"a conversation":    {store.MessageQuery{Peer: "b", Conversation: "c", Limit: 9}, true},
		"unread":            {store.MessageQuery{Unread: true, Limit: 9}, true},
		"unread of one":     {store.MessageQuery{Unread: true, Peer: "b", Before: 7, Limit: 9}, true},
		"one id":            {store.MessageQuery{ID: "m", Limit: 9}, true},
		"one direction":     {store.MessageQuery{Direction: store.In, Kind: "TERM", Before: 7, Limit: 9}, true},
	} {
		c := selectMessages(tt.q)
		plan := explain(t, s, c.text.String(), c.args...)
		// What is looked through for one id are the lines, one for each peer; for one direction what was found in each.
		if strings.Contains(strings.NewReplacer("SCAN lines", "", "SCAN j VIRTUAL", "", "SCAN (subquery", "").Replace(plan), "SCAN") || !tt.sorts && strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s: %s", name, plan)
		}
	}
}

func TestMarksFromBeforeTheyWereKeptAreThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	known, err := steps()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(known, func(name string) bool { return strings.HasSuffix(name, "_marks.sql") })
	s := open(t, path)
	for i, references := range []string{`[]`, `[{"id":"m0"},{"id":"x","by":"receiver"}]`, `[{"id":"m0"}]`} {
		kind := []string{"INQUIRY", "CORRECT", "NOTIFICATION"}[i]
		_, err := s.Enqueue(t.Context(), "bravo.example", func(int64) (store.Message, error) {
			return store.Message{ID: fmt.Sprint("m", i), Conversation: "c", Kind: kind, Precedence: "ROUTINE", Payload: []byte(`{"references":` + references + `}`)}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	script, err := migrations.ReadFile(known[at])
	if err != nil {
		t.Fatal(err)
	}
	raw(t, path, "DROP TABLE message_marks", "DROP INDEX messages_talk", "DROP INDEX messages_terms", string(script))
	marks, err := open(t, path).Marks(t.Context(), store.Out, "bravo.example", []string{"m0", "x"})
	if err != nil || len(marks) != 1 || marks[0].ID != "m1" || marks[0].Target != "m0" {
		t.Errorf("marks %+v, %v", marks, err)
	}
}
