// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

var markTests = map[string]func(t *testing.T, e env){
	"tells_what_is_said_about_a_message":          marksMessages,
	"keeps_what_is_said_before_the_message_comes": marksEarly,
	"keeps_what_a_drill_says_to_the_drill":        marksDrills,
	"tells_apart_who_said_it":                     marksBySide,
	"reads_so_many_marks_of_a_message":            boundsMarks,
	"lists_a_conversation":                        listsConversation,
	"lists_one_kind":                              listsKind,
	"lists_one_direction_of_all_lines":            listsDirection,
	"lists_what_is_unread":                        listsUnread,
	"finds_a_message_by_its_id_alone":             listsID,
}

// about makes a message one that says something about others.
func about(kind string, references ...string) func(*store.Message) {
	return func(m *store.Message) {
		m.Kind = kind
		var list []string
		for _, r := range references {
			list = append(list, fmt.Sprintf(`{"id":%q}`, r))
		}
		m.Payload = []byte(`{"references":[` + strings.Join(list, ",") + `]}`)
	}
}

func mustMarks(t *testing.T, s store.Store, d store.Direction, ids ...string) []string {
	t.Helper()
	marks, err := s.Marks(t.Context(), d, "bravo.example", ids)
	if err != nil {
		t.Fatalf("Marks: %v", err)
	}
	var got []string
	for _, m := range marks {
		got = append(got, fmt.Sprintf("%s %s by %s, serial %d", m.Target, m.Kind, m.ID, m.Serial))
		same(t, "time of a mark", m.CreatedAt, epoch)
	}
	return got
}

func marksDrills(t *testing.T, e env) {
	in := func(conversation string, options ...func(*store.Message)) func(*store.Message) {
		return func(m *store.Message) {
			for _, o := range options {
				o(m)
			}
			m.Conversation = conversation
		}
	}
	mustEnqueue(t, e, message("real"))
	mustEnqueue(t, e, message("drill", in("exercise-spring")))
	mustEnqueue(t, e, message("stop", in("exercise-spring", about("CANCEL", "real", "drill"))))
	onLine(t, e, func(tx store.LineTx) error { return tx.PutExercise("exercise-spring", "spring") })
	same(t, "marks", mustMarks(t, e, store.Out, "real", "drill"), []string{"drill CANCEL by stop, serial 3"})
}

func marksMessages(t *testing.T, e env) {
	for _, id := range []string{"a", "b", "c"} {
		mustEnqueue(t, e, message(id))
	}
	mustEnqueue(t, e, message("fix", about("CORRECT", "a", "b", "a")))
	mustEnqueue(t, e, message("stop", about("CANCEL", "a")))
	mustEnqueue(t, e, message("longer", about("EXTEND", "c")))
	mustEnqueue(t, e, message("done", about("RELEASE", "c")))
	mustEnqueue(t, e, message("news", about("NOTIFICATION", "a")))
	mustEnqueue(t, e, message("self", about("CANCEL", "self")))
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	s := e.reopen(t, Options{})
	same(t, "marks", mustMarks(t, s, store.Out, "c", "nothing", "a", "b", "self"), []string{
		"c RELEASE by done, serial 7", "c EXTEND by longer, serial 6",
		"a CANCEL by stop, serial 5", "a CORRECT by fix, serial 4", "b CORRECT by fix, serial 4",
	})
	same(t, "marks of nothing", mustMarks(t, s, store.Out), []string(nil))
	if _, err := s.Marks(t.Context(), store.Out, "bravo.example", make([]string, store.MaxMarked+1)); err == nil {
		t.Error("too many messages were asked about")
	}
}

func marksEarly(t *testing.T, e env) {
	mustAccept(t, e, received("fix", 3, about("CORRECT", "a")))
	mustAccept(t, e, received("first", 2, about("CORRECT", "a")))
	want := []string{"a CORRECT by fix, serial 3", "a CORRECT by first, serial 2"}
	same(t, "before it comes", mustMarks(t, e, store.In, "a"), want)
	mustAccept(t, e, received("a", 1))
	_, duplicate, err := e.Accept(t.Context(), received("fix", 3, about("CORRECT", "a")))
	if err != nil || !duplicate {
		t.Errorf("the same again: %v %v", duplicate, err)
	}
	same(t, "when it is there", mustMarks(t, e, store.In, "a"), want)
}

func marksBySide(t *testing.T, e env) {
	mustEnqueue(t, e, message("a"))
	mustAccept(t, e, received("a", 1))
	theirs := received("x", 2, about("CANCEL", "a"))
	mustAccept(t, e, theirs)
	wrong := received("y", 3)
	wrong.Kind, wrong.Payload = "CANCEL", []byte(`{"references":[{"id":"a","by":"receiver"}]}`)
	mustAccept(t, e, wrong)
	charlie := received("z", 1, about("CANCEL", "a"))
	charlie.Peer = "charlie.example"
	mustAccept(t, e, charlie)
	same(t, "of ours", mustMarks(t, e, store.Out, "a"), []string(nil))
	same(t, "of theirs", mustMarks(t, e, store.In, "a"), []string{"a CANCEL by x, serial 2"})
}

func boundsMarks(t *testing.T, e env) {
	for i := range store.MaxMarks + 3 {
		mustAccept(t, e, received(fmt.Sprint("m", i), int64(i+1), about("CORRECT", "a")))
	}
	got := mustMarks(t, e, store.In, "a", "b")
	same(t, "how many", len(got), store.MaxMarks)
	same(t, "the newest", got[0], fmt.Sprintf("a CORRECT by m%d, serial %d", store.MaxMarks+2, store.MaxMarks+3))
}

func listsConversation(t *testing.T, e env) {
	mustEnqueue(t, e, message("a1", talk("a1")))
	mustEnqueue(t, e, message("b1", talk("b1")))
	mustAccept(t, e, received("x1", 1, talk("a1")))
	mustEnqueue(t, e, message("a2", talk("a1")))
	mustAccept(t, e, received("a1", 2, talk("other")))
	charlie := received("c", 1, talk("a1"))
	charlie.Peer = "charlie.example"
	mustAccept(t, e, charlie)
	q := store.MessageQuery{Peer: "bravo.example", Conversation: "a1", Limit: 10}
	same(t, "conversation", messageIDs(mustMessages(t, e, q).Messages), []string{"a2", "x1", "a1"})
	q.Limit = 2
	page := mustMessages(t, e, q)
	same(t, "first page", messageIDs(page.Messages), []string{"a2", "x1"})
	q.Before = page.Next
	same(t, "second page", messageIDs(mustMessages(t, e, q).Messages), []string{"a1"})
	q = store.MessageQuery{Peer: "bravo.example", Conversation: "a1", Direction: store.In, Limit: 10}
	same(t, "one direction of it", messageIDs(mustMessages(t, e, q).Messages), []string{"x1"})
	if _, err := e.ListMessages(t.Context(), store.MessageQuery{Conversation: "a1", Limit: 10}); err == nil {
		t.Error("a conversation without a peer was accepted")
	}
}

func listsKind(t *testing.T, e env) {
	term := func(m *store.Message) { m.Kind = "TERM" }
	mustEnqueue(t, e, message("t1", term))
	mustEnqueue(t, e, message("a"))
	mustAccept(t, e, received("t2", 1, term))
	mustEnqueue(t, e, message("t3", term))
	for name, tt := range map[string]struct {
		query store.MessageQuery
		want  []string
	}{
		"of all":              {store.MessageQuery{Kind: "TERM"}, []string{"t3", "t2", "t1"}},
		"of one side":         {store.MessageQuery{Kind: "TERM", Direction: store.Out, Peer: "bravo.example"}, []string{"t3", "t1"}},
		"of another kind":     {store.MessageQuery{Kind: "INQUIRY", Peer: "bravo.example"}, []string{"a"}},
		"of one never stored": {store.MessageQuery{Kind: "CAKE"}, nil},
	} {
		tt.query.Limit = 10
		same(t, "kind "+name, messageIDs(mustMessages(t, e, tt.query).Messages), tt.want)
	}
}

func listsDirection(t *testing.T, e env) {
	of := func(peer string, m store.Message) store.Message { m.Peer = peer; return m }
	term := func(m *store.Message) { m.Kind = "TERM" }
	for _, m := range []store.Message{
		received("a", 1, term), of("charlie.example", received("x", 1)), received("b", 2), of("charlie.example", received("y", 2, term)), received("c", 3),
	} {
		mustAccept(t, e, m)
	}
	mustEnqueue(t, e, message("out"))
	q := store.MessageQuery{Direction: store.In, Limit: 2}
	for _, want := range [][]string{{"c", "y"}, {"b", "x"}, {"a"}} {
		page := mustMessages(t, e, q)
		same(t, "page", messageIDs(page.Messages), want)
		q.Before = page.Next
	}
	q = store.MessageQuery{Direction: store.In, Kind: "TERM", Limit: 1}
	for _, want := range []string{"y", "a"} {
		page := mustMessages(t, e, q)
		same(t, "page of a kind", messageIDs(page.Messages), []string{want})
		q.Before = page.Next
	}
	same(t, "the other direction", messageIDs(mustMessages(t, e, store.MessageQuery{Direction: store.Out, Limit: 9}).Messages), []string{"out"})
}

func listsUnread(t *testing.T, e env) {
	for i, id := range []string{"a", "b", "c"} {
		mustAccept(t, e, received(id, int64(i+1)))
	}
	mustEnqueue(t, e, message("out"))
	mustAccept(t, e, received("theirs", 4, ackOf("out")))
	mustEnqueue(t, e, message("ours", ackOf("b")))
	charlie := received("x", 1)
	charlie.Peer = "charlie.example"
	mustAccept(t, e, charlie)
	same(t, "unread", messageIDs(mustMessages(t, e, store.MessageQuery{Unread: true, Limit: 10}).Messages), []string{"x", "c", "a"})
	same(t, "unread of one", messageIDs(mustMessages(t, e, store.MessageQuery{Unread: true, Peer: "bravo.example", Limit: 1}).Messages), []string{"c"})
}

func listsID(t *testing.T, e env) {
	mustEnqueue(t, e, message("m"))
	mustAccept(t, e, received("m", 1))
	mustEnqueue(t, e, message("n"))
	found := mustMessages(t, e, store.MessageQuery{ID: "m", Limit: 10}).Messages
	same(t, "found", []store.Direction{found[0].Direction, found[1].Direction}, []store.Direction{store.In, store.Out})
	same(t, "found in one direction", len(mustMessages(t, e, store.MessageQuery{ID: "m", Direction: store.Out, Limit: 10}).Messages), 1)
	same(t, "found nowhere", len(mustMessages(t, e, store.MessageQuery{ID: "x", Limit: 10}).Messages), 0)
}
