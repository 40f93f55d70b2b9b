// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/trust"
)

func TestTheFirstStartRecordsWhoWeAreAndWhomWeTrust(t *testing.T) {
	w := newWorld(t)
	records := w.recorded(0, first...)
	leaf := w.identity.Current().Leaves()["link"]
	if got := records[0]; got.Item != "link" || got.Old != nil || got.New[0] != (trust.Hash{Certificate: cabundle.Hash(leaf), Key: cabundle.KeyHash(leaf)}) || got.Cause != trust.File {
		t.Errorf("first record %+v", got)
	}
	if got := records[4]; got.To != "Active" || got.New[0].Certificate != cabundle.Hash(w.old.Root) || got.Cause != trust.Configuration {
		t.Errorf("peer's record %+v", got)
	}
	for i, r := range records {
		if r.Seq != int64(i+1) || r.At.IsZero() || (r.Previous == "") != (i == 0) {
			t.Errorf("record %d is %+v", i, r)
		}
	}
}

func TestARestartRecordsNothingTwice(t *testing.T) {
	w := newWorld(t)
	w.recorded(0, first...)
	w.mustLearn(7, w.old, w.next)
	for range 3 {
		w.restart()
		w.inForce("after a restart", w.old, w.next)
		w.recorded(len(first), "BundleLearned bravo.example")
		if w.keeper.Serial("bravo.example") != 7 {
			t.Errorf("serial %d", w.keeper.Serial("bravo.example"))
		}
	}
}

// A second start tells what changed while the relay was down.
func TestWhatChangedWhileTheRelayWasDownIsRecordedAtTheStart(t *testing.T) {
	w := newWorld(t)
	w.recorded(0, first...)
	w.mustLearn(7, w.old, w.next)
	w.crash()
	w.cfg.Peers[0].Bundle = w.next.Bundle()
	w.cfg.Peers[0].State = config.Suspended
	w.alfa.Leaf(t, testca.Leaf{Path: "/relay"}).WriteTo(t, filepath.Dir(w.cfg.Identity.Link.CertFile))
	w.start(nil)
	records := w.recorded(len(first)+1, "LeafChanged alfa.example", "StateChanged bravo.example", "BundleChanged bravo.example")
	if got := records[1]; got.From != "Active" || got.To != "Suspended" {
		t.Errorf("state %+v", got)
	}
	if got := records[2]; len(got.Old) != 2 || len(got.New) != 1 {
		t.Errorf("bundle %+v", got)
	}
	w.inForce("the changed base", w.next)
	if learned, err := w.store.LearnedBundles(t.Context()); err != nil || len(learned) != 0 {
		t.Errorf("learned %v, %v; what built on another base is forgotten", learned, err)
	}
}

func TestEachChangeOfTrustIsRecordedOnce(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*config.Config, *world)
		want   []string
	}{
		{"a_peer_is_removed", func(c *config.Config, _ *world) { c.Peers = nil }, []string{"PeerRemoved bravo.example"}},
		{"a_peer_is_revoked", func(c *config.Config, _ *world) { c.Peers[0].State = config.Revoked }, []string{"StateChanged bravo.example"}},
		{"rotation_becomes_manual", func(c *config.Config, _ *world) { c.Peers[0].Rotation = config.Manual }, []string{"RotationChanged bravo.example"}},
		{"a_person_changes_the_bundle", func(c *config.Config, w *world) { c.Peers[0].Bundle = w.next.Bundle() }, []string{"BundleChanged bravo.example"}},
		{"our_bundle_holds_a_second_root", func(c *config.Config, w *world) {
			c.Identity.Bundle = w.alfa.Bundle() + testca.New(w.t, "alfa.example").Bundle()
		}, []string{"RootAdded alfa.example"}},
		{"a_detection_budget_is_no_trust", func(c *config.Config, _ *world) { c.Peers[0].Detection.Misses = 9 }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.recorded(0, first...)
			w.apply(func(next *config.Config) { c.change(next, w) })
			w.recorded(len(first), c.want...)
			w.restart()
			w.recorded(len(first), c.want...)
		})
	}
}

func TestLearningUnderAnotherBaseIsRefused(t *testing.T) {
	w := newWorld(t)
	base := w.base()
	w.apply(func(c *config.Config) { c.Peers[0].Bundle = w.next.Bundle() })
	if err := w.keeper.Learn(t.Context(), "bravo.example", base, roots(w.old), 7); !errors.Is(err, identity.ErrBase) {
		t.Errorf("err = %v", err)
	}
	w.inForce("the person's word", w.next)
	w.recorded(0, append(first, "BundleChanged bravo.example")...)
}

func TestAPeerCannotFillTheRecord(t *testing.T) {
	w := newWorld(t)
	w.recorded(0, first...)
	for i := range 32 {
		w.mustLearn(int64(i+1), [][]*testca.CA{{w.old, w.next}, {w.old}}[i%2]...)
	}
	if err := w.learn(99, w.old, w.next); !errors.Is(err, trust.ErrTooMany) {
		t.Errorf("err = %v", err)
	}
	if err := w.keeper.Offered(t.Context(), "bravo.example", roots(w.next), 100); err != nil {
		t.Error(err)
	}
	w.restart()
	if err := w.learn(101, w.old, w.next); !errors.Is(err, trust.ErrTooMany) {
		t.Errorf("after a restart: %v", err)
	}
	if got := len(w.records().Records); got != len(first)+32 {
		t.Errorf("%d records", got)
	}
	w.ahead.Store(int64(25 * time.Hour))
	w.mustLearn(102, w.old, w.next)
}

func TestAnOfferThatWaitsIsRecordedOnce(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		if err := w.keeper.Offered(t.Context(), "bravo.example", roots(w.old, w.next), 7); err != nil {
			t.Fatal(err)
		}
	}
	w.restart()
	if err := w.keeper.Offered(t.Context(), "bravo.example", roots(w.next, w.old), 8); err != nil {
		t.Fatal(err)
	}
	records := w.recorded(len(first), "BundleOffered bravo.example")
	if got := records[0]; got.OfferSerial != 7 || len(got.Old) != 1 || len(got.New) != 2 {
		t.Errorf("record %+v", got)
	}
	w.inForce("while it waits", w.old)
}

func TestRecordsAreReadInPagesAndBySubject(t *testing.T) {
	w := newWorld(t)
	w.recorded(0, first...)
	w.mustLearn(7, w.old, w.next)
	whole := w.records()
	if whole.Total != 6 || len(whole.Last) != 64 || whole.Damaged != nil {
		t.Errorf("page %+v", whole)
	}
	var got []int64
	q := store.TrustQuery{Subject: "bravo.example", Limit: 1}
	for {
		page, err := w.keeper.Records(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Records {
			got = append(got, r.Seq)
		}
		if q.After = page.Next; q.After == 0 {
			break
		}
	}
	if len(got) != 2 || got[0] != 5 || got[1] != 6 {
		t.Errorf("records about bravo: %v", got)
	}
}

func TestARecordThatWasTamperedWithIsNoticed(t *testing.T) {
	for _, c := range []struct{ name, statement, says string }{
		{"a_record_is_changed", `UPDATE trust_records SET content = CAST(replace(content, '"Active"', '"Revoked"') AS BLOB) WHERE seq = 5`, "record 5 was changed"},
		{"a_record_is_taken_out", `DELETE FROM trust_records WHERE seq = 3`, "record 3 is missing"},
		{"records_are_exchanged", `UPDATE trust_records SET seq = -seq WHERE seq IN (2, 3); UPDATE trust_records SET seq = 5 + seq WHERE seq < 0`, "was written as record"},
		{"a_record_is_rubbish", `UPDATE trust_records SET content = x'00' WHERE seq = 2`, "cannot be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.recorded(0, first...)
			w.mustLearn(7, w.old, w.next)
			w.crash()
			tamper(t, w.path, c.statement)
			w.start(nil) // a damaged record does not stop the relay
			w.inForce("though the record is damaged", w.old, w.next)
			page := w.records()
			if page.Damaged == nil || !strings.Contains(page.Damaged.Reason, c.says) {
				t.Errorf("damage %+v, want one that says %q", page.Damaged, c.says)
			}
			w.mustLearn(8, w.next)
		})
	}
}

func tamper(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, s := range []string{"DROP TRIGGER trust_records_stay", "DROP TRIGGER trust_records_keep", "PRAGMA ignore_check_constraints = 1", statement} {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

func TestARevocationForgetsWhatWasLearned(t *testing.T) {
	for _, down := range []bool{false, true} {
		w := newWorld(t)
		w.recorded(0, first...)
		w.mustLearn(7, w.old, w.next)
		if down { // the relay is down while the peer is revoked
			w.crash()
			w.cfg.Peers[0].State = config.Revoked
			w.start(nil)
		} else {
			w.apply(func(c *config.Config) { c.Peers[0].State = config.Revoked })
		}
		w.recorded(len(first)+1, "StateChanged bravo.example", "BundleChanged bravo.example")
		if err := w.learn(8, w.old, w.next); !errors.Is(err, identity.ErrBase) {
			t.Errorf("learning of a peer that is Revoked: %v", err)
		}
		w.restart()
		w.apply(func(c *config.Config) { c.Peers[0].State = config.Active })
		w.inForce("after the revocation", w.old)
		w.recorded(len(first)+3, "StateChanged bravo.example")
		if learned, err := w.store.LearnedBundles(t.Context()); err != nil || len(learned) != 0 {
			t.Errorf("still stored: %v, %v", learned, err)
		}
	}
}

// A person means at once, and for good: a root that was taken out of the configured
// bundle comes back by a person only, also after a restart.
func TestWhatAPersonTookOutIsNotLearnedAgain(t *testing.T) {
	w := newWorld(t)
	w.apply(func(c *config.Config) { c.Peers[0].Bundle = w.old.Bundle() + w.next.Bundle() })
	w.apply(func(c *config.Config) { c.Peers[0].Bundle = w.old.Bundle() })
	for _, when := range []string{"at once", "after a restart"} {
		if err := w.learn(7, w.old, w.next); !errors.Is(err, trust.ErrWithdrawn) {
			t.Errorf("%s: learning it again: %v", when, err)
		}
		w.inForce(when, w.old)
		if got := w.keeper.Withdrawn("bravo.example"); len(got) != 1 || got[0] != cabundle.KeyHash(w.next.Root) {
			t.Errorf("%s: withdrawn are %v", when, got)
		}
		w.restart()
	}
	w.mustLearn(7, w.old, testca.New(t, "bravo.example"))
	w.apply(func(c *config.Config) { c.Peers[0].Bundle = w.next.Bundle() })
	w.mustLearn(8, w.next)
	if got := w.keeper.Withdrawn("bravo.example"); len(got) != 1 || got[0] != cabundle.KeyHash(w.old.Root) {
		t.Errorf("after it was put back: withdrawn are %v", got)
	}
	w.apply(func(c *config.Config) { c.Peers = nil })
	w.recorded(len(first), "BundleChanged bravo.example", "BundleChanged bravo.example", "BundleLearned bravo.example",
		"BundleChanged bravo.example", "BundleLearned bravo.example", "PeerRemoved bravo.example")
	if got := w.keeper.Withdrawn("bravo.example"); len(got) != 0 {
		t.Errorf("of a peer that is gone: %v", got)
	}
}
