// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/internal/relayclient/relaytest"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/report"
)

const provenID = "01J0000000000000000000000B"

// journaling answers the paths of the journal for three hotlines.
func journaling(w http.ResponseWriter, r *http.Request) {
	head := desk.Journal{Hotline: "to-bravo", Peer: "bravo.example", Origin: "alfa.example/certlink/hotline/bravo.example", Size: 7, Root: make([]byte, 32), At: noon, Checkpoint: "signed\n"}
	whole := desk.JournalCheck{Journal: head, State: desk.JournalWhole, Messages: 4, Receipts: 3, Checkpoints: 5, Proven: 7, ExpiredSigners: 2, Witness: &desk.JournalWitness{State: desk.PeerAgrees, Size: 6, Checkpoint: "signed\n"}}
	damaged, unproven := whole, whole
	damaged.Hotline, damaged.State, damaged.ExpiredSigners = "to-charlie", desk.JournalDamaged, 0
	damaged.Damage = &desk.JournalDamage{Index: 2, Kind: "message/1", Direction: "out", Message: provenID, Reason: "the message of this entry is not\x1b[2J what was signed"}
	unproven.Witness = &desk.JournalWitness{State: desk.PeerUnasked, Reason: "connection refused; messages stay queued"}
	unproven.Hotline, unproven.State, unproven.Proven, unproven.Before, unproven.UnknownSigners = "to-delta", desk.JournalUnproven, 3, 9, 1
	var answer any
	switch r.Method + " " + r.URL.Path {
	case "GET " + report.Path:
		answer = report.Report{Hotlines: []report.Hotline{{Name: "to-bravo"}, {Name: "to-charlie"}, {Name: "to-delta"}}}
	case "GET /journal/to-bravo":
		answer = head
	case "POST /journal/to-bravo/verify":
		answer = whole
	case "POST /journal/to-charlie/verify":
		answer = damaged
	case "POST /journal/to-delta/verify":
		answer = unproven
	case "GET /journal/to-bravo/doubts":
		answer = doubted
	case "GET /journal/to-delta/doubts":
		answer = desk.DoubtList{}
	case "POST /journal/to-bravo/doubts/settle":
		settled := doubted.Doubts[0]
		settled.SettledAt, settled.SettledBy = noon, "spiffe://alfa.example/desk/ann"
		answer = desk.DoubtList{Doubts: []desk.JournalDoubt{settled, doubted.Doubts[1]}}
	case "POST /journal/busy/verify":
		w.WriteHeader(http.StatusTooManyRequests)
		return
	case "GET " + desk.PathMessages:
		answer = desk.MessageList{Messages: []desk.Message{{Direction: "out", Peer: "bravo.example", ID: provenID}, {Direction: "out", Peer: "bravo.example", ID: "01J0000000000000000000000C"}}}
	case "GET /hotline/messages/out/bravo.example/" + provenID:
		answer = desk.Message{Direction: "out", Peer: "bravo.example", ID: provenID}
	case "GET /hotline/messages/out/bravo.example/01J0000000000000000000000C":
		answer = desk.Message{Direction: "out", Peer: "bravo.example", ID: "01J0000000000000000000000C"}
	case "GET /hotline/messages/out/bravo.example/" + provenID + "/proof":
		answer = desk.MessageProof{Peer: "bravo.example", ID: provenID, Origin: head.Origin, Index: 2, Kind: "message/1", Body: []byte(`{"a":1}`), Proof: "proof\n", Chain: "chain\n", VerifierKey: "key"}
	default:
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func TestJournalVerify(t *testing.T) {
	relay := relaytest.Desk(t, http.HandlerFunc(journaling))
	for name, tt := range map[string]struct {
		hotlines []string
		output   format
		golden   string
		fails    string
	}{
		"of_all_hotlines": {nil, asTable, "journal-verify.txt", "2 of 3 journals are not whole"},
		"for_programs":    {[]string{"to-charlie"}, asJSON, "journal-verify.json", "1 of 1 journals are not whole"},
		"of_a_whole_one":  {[]string{"to-bravo"}, asTable, "journal-whole.txt", ""},
	} {
		t.Run(name, func(t *testing.T) {
			o, s := setup(t)
			expect(t, o.journalVerify(t.Context(), relay, tt.hotlines, &tt.output), tt.fails)
			golden(t, tt.golden, s.out.String())
		})
	}
	o, _ := setup(t)
	expect(t, o.journalVerify(t.Context(), relay, []string{"none"}, new(format)), `our relay has no hotline "none"`)
	expect(t, o.journalVerify(t.Context(), relay, []string{"busy"}, new(format)), "is being verified")
}

// doubted speaks against bravo's journal.
var doubted = desk.DoubtList{Doubts: []desk.JournalDoubt{
	{Kind: "Forked", At: noon, Held: desk.PeerState{Size: 7, Checkpoint: "held\n"}, Shown: desk.PeerState{Size: 9, Checkpoint: "shown\n"}},
	{Kind: "Older", At: noon, Held: desk.PeerState{Size: 7}, Shown: desk.PeerState{Size: 5}, SettledAt: noon, SettledBy: "it went on"},
}}

func TestJournalDoubts(t *testing.T) {
	relay := relaytest.Desk(t, http.HandlerFunc(journaling))
	for name, output := range map[string]format{"journal-doubts.txt": asTable, "journal-doubts.json": asJSON} {
		t.Run(name, func(t *testing.T) {
			o, s := setup(t)
			expect(t, o.journalDoubts(t.Context(), relay, "to-bravo", &output), "")
			golden(t, name, s.out.String())
		})
	}
	o, s := setup(t)
	expect(t, o.journalDoubts(t.Context(), relay, "to-delta", new(format)), "")
	if s.out.Len() > 0 {
		t.Errorf("where nothing is doubted it prints %q", s.out)
	}
	expect(t, o.journalDoubts(t.Context(), relay, "none", new(format)), "our relay has no hotline")
}

func TestJournalSettle(t *testing.T) {
	relay := relaytest.Desk(t, http.HandlerFunc(journaling))
	o, s := setup(t)
	expect(t, o.journalSettle(t.Context(), relay, "to-bravo", "by telephone"), "")
	golden(t, "journal-settled.txt", s.out.String())
	expect(t, o.journalSettle(t.Context(), relay, "to-delta", "by telephone"), "nothing is doubted there")
}

func TestJournalHead(t *testing.T) {
	relay := relaytest.Desk(t, http.HandlerFunc(journaling))
	for name, output := range map[string]format{"journal-head.txt": asTable, "journal-head.json": asJSON} {
		t.Run(name, func(t *testing.T) {
			o, s := setup(t)
			expect(t, o.journalHead(t.Context(), relay, "to-bravo", &output), "")
			golden(t, name, s.out.String())
		})
	}
	o, _ := setup(t)
	expect(t, o.journalHead(t.Context(), relay, "none", new(format)), "our relay has no hotline")
}

func TestJournalProve(t *testing.T) {
	relay := relaytest.Desk(t, http.HandlerFunc(journaling))
	t.Run("writes_files_that_only_the_owner_reads", func(t *testing.T) {
		o, _ := setup(t)
		directory := filepath.Join(t.TempDir(), "proof")
		expect(t, o.journalProve(t.Context(), relay, provenID, &proveFlags{directory: directory}), "")
		got := map[string]string{}
		entries, err := os.ReadDir(directory)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			content, err := os.ReadFile(filepath.Join(directory, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
			}
			got[e.Name()] = string(content)
		}
		want := map[string]string{
			provenID + ".entry": "message/1\n{\"a\":1}", provenID + ".tlog-proof": "proof\n",
			provenID + ".chain.pem": "chain\n", provenID + ".vkey": "key\n",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
	})
	t.Run("for_programs", func(t *testing.T) {
		o, s := setup(t)
		expect(t, o.journalProve(t.Context(), relay, provenID, &proveFlags{output: asJSON}), "")
		golden(t, "journal-prove.json", s.out.String())
	})
	o, _ := setup(t)
	expect(t, o.journalProve(t.Context(), relay, "01J0000000000000000000000C", &proveFlags{}), "before the journal began")
	expect(t, o.journalProve(t.Context(), relay, "01J0000000000000000000000D", &proveFlags{}), "is in the outbox")
	expect(t, o.journalProve(t.Context(), relay, "../"+provenID, &proveFlags{}), "is no message id")
}
