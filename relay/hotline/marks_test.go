// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/store"
)

// said makes marks of lines "SERIAL KIND TARGET"; a message's id is m and its serial.
func said(t testing.TB, lines ...string) standings {
	t.Helper()
	s := standings{}
	for _, line := range lines {
		var m store.Mark
		if _, err := fmt.Sscanf(line, "%d %s %s", &m.Serial, &m.Kind, &m.Target); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		m.ID = fmt.Sprint("m", m.Serial)
		s[m.Target] = append([]store.Mark{m}, s[m.Target]...)
	}
	return s
}

func TestHowAMessageStands(t *testing.T) {
	for name, test := range map[string]struct {
		said  []string
		want  string
		marks string // serials, the newest first; ! is withdrawn
	}{
		"nothing was said about it":           {},
		"a correction":                        {[]string{"2 CORRECT m1"}, desk.Corrected, "2"},
		"the newest correction is first":      {[]string{"2 CORRECT m1", "3 CORRECT m1"}, desk.Corrected, "3 2"},
		"a cancellation outweighs":            {[]string{"2 CANCEL m1", "3 CORRECT m1"}, desk.Cancelled, "3 2"},
		"a chain of corrections":              {[]string{"2 CORRECT m1", "3 CORRECT m2", "4 CORRECT m3"}, desk.Corrected, "4 3 2"},
		"a cancelled correction":              {[]string{"2 CORRECT m1", "3 CANCEL m2"}, "", "2!"},
		"one of two corrections is cancelled": {[]string{"2 CORRECT m1", "3 CORRECT m1", "4 CANCEL m3"}, desk.Corrected, "3! 2"},
		"a cancelled cancellation":            {[]string{"2 CANCEL m1", "3 CANCEL m2"}, "", "2!"},
		"that one cancelled again":            {[]string{"2 CANCEL m1", "3 CANCEL m2", "4 CANCEL m3"}, desk.Cancelled, "2"},
		"a correction of a cancellation":      {[]string{"2 CANCEL m1", "3 CORRECT m2"}, desk.Cancelled, "2"},
		"a request for longer":                {[]string{"2 EXTEND m1"}, desk.Extended, "2"},
		"released after that":                 {[]string{"2 EXTEND m1", "3 RELEASE m1"}, desk.Released, "3 2"},
		"the release is cancelled":            {[]string{"2 EXTEND m1", "3 RELEASE m1", "4 CANCEL m3"}, desk.Extended, "3! 2"},
		"what was said before it is void":     {[]string{"0 CANCEL m1", "1 CANCEL m1"}, "", ""},
		"two that correct each other":         {[]string{"1 CORRECT m2", "2 CORRECT m1"}, desk.Corrected, "2"},
		"a circle of three":                   {[]string{"1 CORRECT m3", "2 CORRECT m1", "3 CORRECT m2"}, desk.Corrected, "3 2"},
	} {
		t.Run(name, func(t *testing.T) {
			stands, marks := said(t, test.said...).of("m1", 1)
			var got []string
			for _, m := range marks {
				text := fmt.Sprint(m.Serial)
				if m.Withdrawn {
					text += "!"
				}
				got = append(got, text)
			}
			if stands != test.want || strings.Join(got, " ") != test.marks {
				t.Errorf("got %q with %q, want %q with %q", stands, got, test.want, test.marks)
			}
		})
	}
}

func TestAChainIsFollowedSoFar(t *testing.T) {
	var lines []string
	for i := range 1000 {
		lines = append(lines, fmt.Sprintf("%d CORRECT m%d", i+2, i+1), fmt.Sprintf("%d CANCEL m%d", i+2, i+1))
	}
	if _, marks := said(t, lines...).of("m1", 1); len(marks) > maxDepth {
		t.Errorf("%d marks", len(marks))
	}
}

// about sends a message of a marking kind about others.
func (n *nation) about(kind, subject string, ids ...string) desk.Message {
	n.t.Helper()
	r := request("", subject)
	r.Kind = kind
	for _, id := range ids {
		r.References = append(r.References, message.Reference{ID: id})
	}
	return n.send(r)
}

// keep stores a message of the peer as if it had come, whatever it says.
func (n *nation) keep(p Payload) {
	n.t.Helper()
	raw, err := json.Marshal(p)
	if err != nil {
		n.t.Fatal(err)
	}
	_, _, err = n.engine().cfg.Store.Accept(n.t.Context(), store.Message{
		Direction: store.In, Peer: p.From, ID: p.ID, Serial: p.Serial, Conversation: p.Conversation, Kind: string(p.Kind),
		Precedence: p.Precedence, InReplyTo: p.InReplyTo, Payload: raw, CreatedAt: p.CreatedAt, Signed: []byte("s"), Receipt: []byte("r"),
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

func TestCorrectionsAreShownOnBothSides(t *testing.T) {
	bubble(t, "and_the_original_stays", func(t *testing.T, w *world) {
		original := w.alfa.send(request("", "original"))
		fix := w.alfa.about("CORRECT", "fix", original.ID)
		better := w.alfa.about("CORRECT", "better", original.ID)
		<-time.After(time.Minute)
		for _, side := range []struct {
			n *nation
			d store.Direction
		}{{w.alfa, store.Out}, {w.bravo, store.In}} {
			peer := map[*nation]string{w.alfa: "bravo.example", w.bravo: "alfa.example"}[side.n]
			m, err := side.n.engine().Get(t.Context(), side.d, peer, original.ID)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, mark := range m.Marks {
				got = append(got, mark.ID)
			}
			if diff := cmp.Diff([]string{better.ID, fix.ID}, got); diff != "" || m.Standing != desk.Corrected || m.Text != "text of original" {
				t.Errorf("%s shows %q %q %s", side.n.name, m.Standing, m.Text, diff)
			}
			if listed := side.n.list(side.d); listed[len(listed)-1].Standing != desk.Corrected {
				t.Errorf("%s lists %q", side.n.name, listed[len(listed)-1].Standing)
			}
		}
	})
	bubble(t, "but_not_by_the_other_side", func(t *testing.T, w *world) {
		original := w.alfa.send(request("", "original"))
		<-time.After(time.Minute)
		// A peer that lies: it names our message as one of its own, and as one of ours.
		for i, by := range []string{"", "receiver"} {
			p := Payload{
				Version: 1, ID: fmt.Sprintf("01J000000000000000000000%02d", i), Serial: int64(i + 1), From: "bravo.example", To: "alfa.example",
				Conversation: "c", Kind: "CANCEL", Precedence: "ROUTINE", TLP: "CLEAR", CreatedAt: original.CreatedAt, Subject: "s", Text: "t",
			}
			p.References = append(p.References, message.Reference{ID: original.ID})
			p.References[0].By = by
			w.alfa.keep(p)
		}
		m, err := w.alfa.engine().Get(t.Context(), store.Out, "bravo.example", original.ID)
		if err != nil || m.Standing != "" || len(m.Marks) > 0 {
			t.Errorf("it stands as %q, %v, %v", m.Standing, m.Marks, err)
		}
		for _, lie := range w.alfa.list(store.In) {
			want := []string{"it is about " + original.ID + ", a message of the other side: it changes nothing there"}
			if diff := cmp.Diff(want, lie.Remarks); diff != "" {
				t.Error(diff)
			}
		}
	})
	bubble(t, "when_they_come_first", func(t *testing.T, w *world) {
		payload := func(serial int64, id, kind string) Payload {
			return Payload{
				Version: 1, ID: id, Serial: serial, From: "bravo.example", To: "alfa.example", Conversation: id, Kind: message.Kind(kind),
				Precedence: "ROUTINE", TLP: "CLEAR", CreatedAt: w.alfa.engine().cfg.Now().UTC(), Subject: "s", Text: "t",
			}
		}
		first, second := "01J00000000000000000000001", "01J00000000000000000000002"
		fix := payload(2, second, "CORRECT")
		fix.References = append(fix.References, message.Reference{ID: first})
		w.alfa.keep(fix)
		if got := w.alfa.list(store.In)[0].Remarks; len(got) != 1 || !strings.HasSuffix(got[0], "which is not here yet") {
			t.Errorf("remarks %q", got)
		}
		w.alfa.keep(payload(1, first, "NOTIFICATION"))
		list := w.alfa.list(store.In)
		if len(list) != 2 || list[0].Standing != desk.Corrected || list[0].Marks[0].ID != second || len(list[1].Remarks) != 0 {
			raw, _ := json.Marshal(list)
			t.Errorf("list %s", raw)
		}
	})
}
