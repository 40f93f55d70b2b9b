// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/internal/relayclient/relaytest"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/message"
)

// waits is a draft of eve with one of two releases.
func waits() desk.Message {
	m := received()
	m.Direction, m.State, m.Serial, m.ReceiptAt, m.Subject = "out", desk.StateDraft, 0, time.Time{}, "Outage"
	m.Officer, m.Warnings = "Eve Example", []string{`the term "outage" is disagreed`}
	m.Draft = &desk.Draft{
		Hash: "0123456789abcdef" + strings.Repeat("0", 48), State: desk.DraftWaiting, Quorum: 2, DrafterMayRelease: "Denied",
		Drafter:   message.ReleaseBy{Officer: "Eve Example", Identity: "spiffe://alfa.example/desk/eve", At: noon.Add(-time.Minute)},
		Releases:  []message.ReleaseBy{{Officer: "Rob\x1b Example", Identity: "spiffe://alfa.example/desk/rob", At: noon}},
		ExpiresAt: noon.Add(time.Hour),
	}
	return m
}

func TestDraftsOutput(t *testing.T) {
	ended := waits()
	ended.Draft.State, ended.Draft.EndedAt, ended.Draft.EndedBy, ended.Draft.Reason = desk.DraftRejected, noon, "spiffe://alfa.example/desk/zoe", "too early"
	t.Run("a_table_is_one_line_each", func(t *testing.T) {
		o, s := setup(t)
		if err := o.printDrafts([]desk.Message{waits(), ended}); err != nil {
			t.Fatal(err)
		}
		golden(t, "drafts.txt", s.out.String())
	})
	for name, m := range map[string]desk.Message{"draft-waiting.txt": waits(), "draft-rejected.txt": ended} {
		t.Run(name, func(t *testing.T) {
			o, s := setup(t)
			if err := o.printDraft(m, asTable); err != nil {
				t.Fatal(err)
			}
			golden(t, name, s.out.String())
		})
	}
	t.Run("what_send_says_of_a_draft", func(t *testing.T) {
		o, s := setup(t)
		if err := o.printDrafted(&sendFlags{}, waits()); err != nil {
			t.Fatal(err)
		}
		golden(t, "drafted.txt", s.out.String())
		expect(t, o.printDrafted(&sendFlags{}, ended), "was not sent: the draft is Rejected")
	})
	t.Run("who_waits_for_a_receipt_is_not_told_that_all_went_well", func(t *testing.T) {
		for _, output := range []format{asTable, asJSON} {
			o, s := setup(t)
			expect(t, o.printDrafted(&sendFlags{wait: waitReceipt, output: output}, waits()), "is not sent yet, so no receipt can come: it waits for its release")
			expect(t, o.printDrafted(&sendFlags{output: output}, waits()), "")
			expect(t, o.printDrafted(&sendFlags{output: output}, ended), "was not sent: the draft is Rejected")
			if s.out.Len() == 0 {
				t.Errorf("%q: nothing was printed", output)
			}
		}
	})
}

func TestAReleaseTakesTheHashOfWhatWasRead(t *testing.T) {
	for name, c := range map[string]struct{ typed, flag, want string }{
		"typed":                      {"01234567\n", "", ""},
		"typed_in_capitals":          {"0123456789ABCDEF\n", "", ""},
		"as_a_flag":                  {"", "0123456789", ""},
		"not_nothing":                {"", "", "is not released"},
		"not_yes":                    {"yes\n", "", "is not released"},
		"not_too_little":             {"0123456\n", "", "is not released"},
		"not_that_of_another_draft":  {"", "89abcdef", "is not released"},
		"the_flag_counts_if_given":   {"01234567\n", "ffffffff", "is not released"},
		"not_more_than_the_hash_has": {"", "0123456789abcdef" + strings.Repeat("0", 49), "is not released"},
	} {
		t.Run(name, func(t *testing.T) {
			o, s := setup(t)
			s.in.WriteString(c.typed)
			expect(t, o.confirm(waits(), c.flag, asTable), c.want)
			if !strings.Contains(s.out.String(), "Line one.") || !strings.Contains(s.out.String(), "the term") {
				t.Errorf("the officer was shown %q", s.out)
			}
		})
	}
}

func TestAnEditChangesWhatIsGiven(t *testing.T) {
	m := waits()
	got := (&editFlags{precedence: "ROUTINE"}).request(m, "new text")
	want := desk.SendRequest{
		Hotline: m.Hotline, ID: m.ID, Conversation: m.Conversation, Kind: m.Kind, Precedence: "ROUTINE", TLP: m.TLP,
		Subject: m.Subject, Text: "new text", Language: m.Language,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	o, _ := setup(t)
	_, err := (&editFlags{}).check(o)
	expect(t, err, "nothing is to be changed")
	_, err = (&editFlags{precedence: "SOON"}).check(o)
	expect(t, err, "--precedence")
}

func TestActsOutput(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/journal/bravo/acts", func(w http.ResponseWriter, r *http.Request) {
		list := desk.ActList{Acts: []desk.JournalAct{{Index: 4, Act: "SENT", At: noon, Message: "01J", Direction: "OUT", Details: map[string]string{"serial": "1"}}}}
		if r.URL.Query().Get("from") == "" {
			list = desk.ActList{Next: 3, Acts: []desk.JournalAct{{
				Index: 2, Act: "RELEASED", At: noon, Message: "01J", Direction: "OUT", By: "spiffe://alfa.example/desk/rob",
				Details: map[string]string{"content_sha256": "01", "a": "b"},
			}}}
		}
		_ = json.NewEncoder(w).Encode(list)
	})
	acts, err := allActs(t.Context(), relaytest.Desk(t, mux), "bravo", "01J")
	if err != nil {
		t.Fatal(err)
	}
	o, s := setup(t)
	if err := o.printActs(acts); err != nil {
		t.Fatal(err)
	}
	golden(t, "acts.txt", s.out.String())
}

func TestTheClientActsOnDrafts(t *testing.T) {
	var asked []string
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, r.Method+" "+r.URL.String()+" "+string(body))
		m := waits()
		if r.URL.Path == desk.PathDrafts {
			list := desk.MessageList{Messages: []desk.Message{m}, Next: 5}
			if r.URL.Query().Get("before") != "" {
				m.ID = "older"
				list = desk.MessageList{Messages: []desk.Message{m}}
			}
			_ = json.NewEncoder(w).Encode(list)
			return
		}
		_ = json.NewEncoder(w).Encode(m)
	})
	relay := relaytest.Desk(t, mux)
	if m, err := relay.FindDraft(t.Context(), "older"); err != nil || m.ID != "older" {
		t.Errorf("%+v, %v", m, err)
	}
	_, err := relay.FindDraft(t.Context(), "none")
	expect(t, err, "no message has this id")
	list, err := allDrafts(t.Context(), relay, "bravo", false)
	if err != nil || len(list.Messages) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	asked = nil
	if _, err := relay.ActOnDraft(t.Context(), "bravo.example", "1", relayclient.Release, desk.DraftAct{Hash: "h"}); err != nil {
		t.Error(err)
	}
	if _, err := relay.EditDraft(t.Context(), "bravo.example", "1", desk.SendRequest{Text: "t"}); err != nil {
		t.Error(err)
	}
	want := []string{
		`POST /hotline/drafts/bravo.example/1/release {"hash":"h"}`,
		`PUT /hotline/drafts/bravo.example/1 {"hotline":"","subject":"","text":"t","officer":""}`,
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Error(diff)
	}
}
