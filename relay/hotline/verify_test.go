// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

// verify returns what a verification of the nation's journal finds.
func (n *nation) verify() desk.JournalCheck {
	n.t.Helper()
	c, err := n.engine().VerifyJournal(n.t.Context(), n.config.Hotlines[0].Name)
	if err != nil {
		n.t.Fatal(err)
	}
	return c
}

// journalled fails unless the journal is whole and holds each message once.
func (n *nation) journalled(sent, received int64) {
	n.t.Helper()
	c := n.verify()
	if c.State != desk.JournalWhole || c.Messages != sent || c.Receipts != received || c.Size != sent+received || c.Before != 0 || c.Proven != c.Size {
		n.t.Errorf("the journal of %s is %s with %d messages and %d receipts in %d entries, %d proven, %d messages before it, damage %v; want %d and %d",
			n.name, c.State, c.Messages, c.Receipts, c.Size, c.Proven, c.Before, c.Damage, sent, received)
	}
}

// tamper changes the database of a nation behind the back of its relay.
func (n *nation) tamper(statement string, args ...any) {
	n.t.Helper()
	db, err := sql.Open("sqlite", n.path)
	if err != nil {
		n.t.Fatal(err)
	}
	defer db.Close()
	for _, table := range []string{"journals", "messages"} { // what forbids it is forgotten first
		var triggers string
		if err := db.QueryRowContext(n.t.Context(), "SELECT coalesce(group_concat('DROP TRIGGER ' || name, ';'), '') FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", table).Scan(&triggers); err != nil {
			n.t.Fatal(err)
		}
		if _, err := db.ExecContext(n.t.Context(), triggers); err != nil {
			n.t.Fatal(err)
		}
	}
	result, err := db.ExecContext(n.t.Context(), statement, args...)
	if err != nil {
		n.t.Fatal(err)
	}
	if changed, err := result.RowsAffected(); err != nil || changed == 0 {
		n.t.Fatalf("%q changed %d rows, %v", statement, changed, err)
	}
}

func TestVerifyJournal(t *testing.T) {
	for name, tt := range map[string]struct {
		statement string
		says      string
	}{
		"an_edited_message":              {"UPDATE messages SET payload = CAST(replace(payload, 'text of s1', 'text of s9') AS BLOB) WHERE direction = 'out' AND serial = 2", "entry 1 (message/1, message out " + ulidFor(0, 1) + "): the message of this entry is not what was signed"},
		"a_removed_message":              {"DELETE FROM messages WHERE direction = 'out' AND serial = 3", "entry 2 (message/1, message out " + ulidFor(0, 2) + "): the message of this entry is not in the store"},
		"an_inserted_message":            {insertAfter("out"), "message out " + ulidFor(1, 0) + ": the message has no entry"},
		"an_inserted_received_message":   {insertAfter("in"), "message in " + ulidFor(1, 0) + ": the message has no entry"},
		"a_removed_received_message":     {"DELETE FROM messages WHERE direction = 'in'", "the message of this entry is not in the store"},
		"an_edited_received_message":     {"UPDATE messages SET payload = CAST(replace(payload, 'Officer Two', 'Officer Six') AS BLOB) WHERE direction = 'in'", "the received message is not the one that was receipted"},
		"another_receipt_beside_it":      {"UPDATE messages SET receipt = x'00' WHERE direction = 'in'", "the message of this entry is not what was signed"},
		"an_edited_column":               {"UPDATE messages SET precedence = 'FLASH' WHERE direction = 'out' AND serial = 2", "message out " + ulidFor(0, 1) + ": what is stored about the message is not what its content says"},
		"a_cut_end":                      {"DELETE FROM journals WHERE key & 1099511627775 > 2", "the message has no entry"},
		"a_removed_batch":                {"DELETE FROM journals WHERE key & 1099511627775 = 2", "checkpoint at entry 1: entries are missing"},
		"a_removed_beginning":            {"DELETE FROM journals WHERE key & 1099511627775 = 1", "checkpoint at entry 0: entries are missing"},
		"an_edited_hash":                 {"UPDATE journals SET hashes = zeroblob(length(hashes)) WHERE key & 1099511627775 = 2", "entry 1 (message/1"},
		"an_edited_root":                 {"UPDATE journals SET root = zeroblob(32) WHERE key & 1099511627775 = 2", "checkpoint at entry 2: the entries up to here are not those that were signed"},
		"a_signature_of_another_state":   {"UPDATE journals SET signed = (SELECT signed FROM journals WHERE key & 1099511627775 = 1) WHERE key & 1099511627775 = 2", "the checkpoint says another size or root"},
		"an_edited_checkpoint":           {"UPDATE journals SET signed = CAST(replace(signed, char(10)||'2'||char(10), char(10)||'3'||char(10)) AS BLOB) WHERE key & 1099511627775 = 2", "the checkpoint is not signed by the certificate beside it"},
		"certificates_that_are_none":     {"UPDATE signer_chains SET chain = x'00' WHERE id IN (SELECT chain FROM journals)", "the certificates beside the checkpoint cannot be read"},
		"an_entry_for_another_message":   {"UPDATE journals SET entries = CAST(replace(entries, '" + ulidFor(0, 1) + "', '" + ulidFor(0, 2) + "') AS BLOB) WHERE key & 1099511627775 = 2", "the message of this entry is not in the store"},
		"an_entry_that_is_now_a_receipt": {"UPDATE journals SET entries = CAST(replace(entries, 'message/1', 'receipt/1') AS BLOB) WHERE key & 1099511627775 = 2", "entry 1 (receipt/1"},
	} {
		bubble(t, "finds_"+name, func(t *testing.T, w *world) {
			for i, subject := range []string{"s0", "s1", "s2"} {
				w.alfa.send(request(ulidFor(0, i), subject))
			}
			w.quiet()
			w.bravo.acknowledge(ulidFor(0, 0))
			w.quiet()
			w.alfa.journalled(3, 1)
			w.alfa.tamper(tt.statement)
			c := w.alfa.verify()
			if c.State != desk.JournalDamaged || c.Damage == nil || !strings.Contains(c.Damage.String(), tt.says) {
				t.Errorf("it is %s: %v; want %s", c.State, c.Damage, tt.says)
			}
			if r := w.alfa.report(); !strings.Contains(r.Error, "our journal is damaged: ") {
				t.Errorf("report is %+v", r)
			}
			if got := testutil.ToFloat64(w.alfa.engine().metrics.damaged.WithLabelValues("to-bravo")); got != 1 {
				t.Errorf("the metric is %v", got)
			}
		})
	}
}

func TestVerifyJournalTells(t *testing.T) {
	bubble(t, "tells_an_expired_signer_and_goes_on", func(t *testing.T, w *world) {
		short := w.alfa.newIdentity(w.alfa.ca, w.bravo.ca)
		short.pair = w.alfa.ca.Leaf(t, testca.Leaf{Path: "/signing", NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour)})
		w.alfa.become(short)
		w.alfa.send(request(firstID, "s"))
		<-time.After(2 * time.Hour)
		w.alfa.become(w.alfa.newIdentity(w.alfa.ca, w.bravo.ca))
		if c := w.alfa.verify(); c.State != desk.JournalWhole || c.ExpiredSigners != 1 || c.Proven != 1 {
			t.Errorf("it is %+v", c)
		}
	})
	bubble(t, "is_unproven_while_our_CA_does_not_vouch_for_the_last_signer", func(t *testing.T, w *world) {
		w.faults(cut)
		good := w.alfa.who()
		stranger := w.alfa.newIdentity(w.alfa.ca, w.bravo.ca)
		stranger.pair = testca.New(t, "alfa.example").Leaf(t, testca.Leaf{Path: "/signing"})
		w.alfa.send(request("", "s"))
		w.alfa.become(stranger)
		w.alfa.send(request("", "s"))
		if c := w.alfa.verify(); c.State != desk.JournalUnproven || c.UnknownSigners != 1 || c.Proven != 1 || c.Size != 2 {
			t.Errorf("it is %+v", c)
		}
		w.alfa.become(good)
		w.alfa.send(request("", "s"))
		if c := w.alfa.verify(); c.State != desk.JournalWhole || c.UnknownSigners != 1 || c.Proven != 3 {
			t.Errorf("after the next good checkpoint it is %+v", c)
		}
		if got := testutil.ToFloat64(w.alfa.engine().metrics.damaged.WithLabelValues("to-bravo")); got != 0 {
			t.Errorf("the metric is %v", got)
		}
	})
	bubble(t, "counts_messages_from_before_the_journal", func(t *testing.T, w *world) {
		w.faults(cut)
		w.alfa.send(request("", "s"))
		w.alfa.tamper("DELETE FROM journals; UPDATE messages SET entry = 0")
		w.alfa.send(request("", "s"))
		if c := w.alfa.verify(); c.State != desk.JournalWhole || c.Before != 1 || c.Messages != 1 {
			t.Errorf("it is %+v", c)
		}
	})
	bubble(t, "reads_a_journal_that_is_longer_than_one_look", func(t *testing.T, w *world) {
		w.faults(cut)
		const together, alone = entriesAtOnce + messagesAtOnce, 2*batchesAtOnce + 3
		requests := make([]desk.SendRequest, together)
		for i := range requests {
			requests[i] = request("", "s")
		}
		for _, err := range sendAll(t.Context(), t, w, heldUp(w.alfa), requests) {
			if err != nil {
				t.Fatal(err)
			}
		}
		for range alone {
			w.alfa.send(request("", "s"))
		}
		w.alfa.journalled(together+alone, 0)
	})
	bubble(t, "knows_only_our_hotlines_and_verifies_one_at_a_time", func(t *testing.T, w *world) {
		if _, err := w.alfa.engine().VerifyJournal(t.Context(), "none"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("an unknown hotline: %v", err)
		}
		if _, err := w.alfa.engine().JournalHead(t.Context(), "none"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the head of an unknown hotline: %v", err)
		}
		l := w.alfa.engine().lineTo("bravo.example")
		l.verifying.Lock()
		defer l.verifying.Unlock()
		if _, err := w.alfa.engine().VerifyJournal(t.Context(), "to-bravo"); !errors.Is(err, desk.ErrBusy) {
			t.Errorf("a second verification: %v", err)
		}
	})
}

// insertAfter copies a message as the newest of its direction.
func insertAfter(direction string) string {
	return `INSERT INTO messages (direction, peer, id, serial, conversation, kind, precedence, urgency, in_reply_to, created_at, stored_at, payload, signed, receipt, receipt_at)
		SELECT direction, peer, '` + ulidFor(1, 0) + `', 99, conversation, kind, precedence, urgency, in_reply_to, created_at, stored_at, payload, signed, receipt, receipt_at
		FROM messages WHERE direction = '` + direction + `' LIMIT 1`
}

func TestTheJournalIsComparedWithWhatThePeerHolds(t *testing.T) {
	bubble(t, "which_agrees_differs_or_cannot_be_asked", func(t *testing.T, w *world) {
		if c := w.alfa.verify(); c.Witness.State != desk.PeerHasNone {
			t.Errorf("at first the peer shows %+v", c.Witness)
		}
		w.alfa.send(request("", "s0"))
		w.quiet()
		restore := w.alfa.backup()
		w.alfa.send(request("", "s1"))
		w.quiet()
		if c := w.alfa.verify(); c.State != desk.JournalWhole || c.Witness.State != desk.PeerAgrees || c.Witness.Size != 2 || c.Witness.Checkpoint == "" {
			t.Errorf("it is %s, and the peer shows %+v", c.State, c.Witness)
		}
		w.faults(cut)
		if c := w.alfa.verify(); c.State != desk.JournalWhole || c.Witness.State != desk.PeerUnasked || c.Witness.Reason == "" {
			t.Errorf("without a link it is %s, and the peer shows %+v", c.State, c.Witness)
		}
		w.bravo.kill() // so that only the verification can find it
		restore()
		w.alfa.start()
		w.bravo.start()
		<-time.After(50 * time.Millisecond) // both have failed to reach the other, and rest
		w.faults(nil)
		if c := w.alfa.verify(); c.State != desk.JournalDiffers || c.Witness.State != desk.PeerDiffers {
			t.Errorf("after a restore it is %s, and the peer shows %+v", c.State, c.Witness)
		}
		w.faults(nil)
		w.quiet()
		if c := w.alfa.verify(); c.State != desk.JournalWhole || c.Witness.State != desk.PeerAgrees {
			t.Errorf("after the recovery it is %s, and the peer shows %+v", c.State, c.Witness)
		}
	})
}

func TestTheJournalIsVerifiedDaily(t *testing.T) {
	bubble(t, "without_anybody_asking_and_damage_is_told", func(t *testing.T, w *world) {
		w.alfa.send(request("", "s"))
		w.quiet()
		if r := w.alfa.report(); r.Journal.VerifiedAt.IsZero() {
			t.Error("within an hour of the start it was not verified")
		}
		w.alfa.tamper("UPDATE messages SET payload = CAST(replace(payload, 'n', 'm') AS BLOB)")
		before := w.alfa.changes.Load()
		<-time.After(25 * time.Hour)
		if r := w.alfa.report(); r.Journal.State != report.JournalDamaged || w.alfa.changes.Load() == before {
			t.Errorf("a day later the journal is %+v", r.Journal)
		}
		if got := testutil.ToFloat64(w.alfa.engine().metrics.damaged.WithLabelValues("to-bravo")); got != 1 {
			t.Errorf("the metric is %v", got)
		}
	})
	bubble(t, "and_a_journal_that_cannot_be_read_is_told_until_it_can_be", func(t *testing.T, w *world) {
		m := func() (since time.Time, failed float64) {
			m := w.alfa.engine().metrics
			return time.Unix(int64(testutil.ToFloat64(m.unproven.WithLabelValues("to-bravo"))), 0), testutil.ToFloat64(m.unread.WithLabelValues("to-bravo"))
		}
		w.alfa.send(request("", "s"))
		w.quiet()
		last, failed := m()
		if time.Since(last) > time.Hour || failed != 0 {
			t.Errorf("an hour after the start it is unverified since %s, failed is %v", last, failed)
		}
		w.alfa.life().unreadable.Store(true)
		<-time.After(27 * time.Hour)
		if since, failed := m(); !since.Equal(last) || failed != 1 {
			t.Errorf("after a verification that failed it is unverified since %s, want %s; failed is %v", since, last, failed)
		}
		w.alfa.life().unreadable.Store(false)
		<-time.After(2 * time.Hour)
		if since, failed := m(); time.Since(since) > 2*time.Hour || failed != 0 {
			t.Errorf("once it can be read again it is unverified since %s, failed is %v", since, failed)
		}
	})
	bubble(t, "and_by_the_relay_that_has_the_line", func(t *testing.T, w *world) {
		w.quiet()
		l := w.alfa.engine().line("bravo")
		l.apply(config.Hotline{Name: "renamed", Peer: "bravo"}, l.peer)
		m := w.alfa.engine().metrics
		if n := testutil.CollectAndCount(m.unproven); n != 1 || time.Since(time.Unix(int64(testutil.ToFloat64(m.unproven.WithLabelValues("renamed"))), 0)) > time.Hour {
			t.Errorf("%d hotlines wait for a verification", n)
		}
		w.alfa.kill()
		if n := testutil.CollectAndCount(m.unproven) + testutil.CollectAndCount(m.unread); n != 0 {
			t.Errorf("%d figures stay of a relay that gave the line up", n)
		}
	})
}
