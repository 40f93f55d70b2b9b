// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

func TestTheRecordOfTrustCanOnlyGrow(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	if err := s.AppendTrust(t.Context(), func(store.TrustRecord) (store.TrustChange, error) {
		return store.TrustChange{Records: []store.TrustRecord{{Subject: "x", Content: []byte("x")}}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"DELETE FROM trust_records", "UPDATE trust_records SET content = x'79'"} {
		if _, err := s.write.ExecContext(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

// A relay of the release before had the first schema only, with messages in it.
func TestTheSchemaOfTheReleaseBeforeIsMigrated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	first, err := migrations.ReadFile("migrations/0001_first.sql")
	if err != nil {
		t.Fatal(err)
	}
	raw(t, path, string(first), fmt.Sprintf("PRAGMA application_id = %d", applicationID), "PRAGMA user_version = 1",
		"INSERT INTO lines (peer, out_serial) VALUES ('bravo', 41)")
	s := open(t, path)
	m, err := s.Enqueue(t.Context(), "bravo", func(serial int64) (store.Message, error) {
		return store.Message{ID: fmt.Sprint(serial), Payload: []byte("p")}, nil
	})
	if err != nil || m.Serial != 42 {
		t.Errorf("serial %d, %v", m.Serial, err)
	}
	if page, err := s.ListTrust(t.Context(), store.TrustQuery{Limit: 1}); err != nil || len(page.Records) != 0 {
		t.Errorf("trust: %v, %v", page, err)
	}
}

// appendTrust stores the n-th record with the n-th bundle of bravo.
func appendTrust(ctx context.Context, s *Store, n int) error {
	return s.AppendTrust(ctx, func(store.TrustRecord) (store.TrustChange, error) {
		return store.TrustChange{
			Records: []store.TrustRecord{{Subject: "bravo", Content: make([]byte, 3000)}},
			Learn:   &store.LearnedBundle{TrustDomain: "bravo", Base: "b", Bundle: strings.Repeat("p", 3000), Serial: int64(n)},
		}, nil
	})
}

func trustUntilKilled(path string) error {
	ctx := context.Background()
	s, err := Open(ctx, Config{Path: path})
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	for i := 1; ; i++ {
		if err := appendTrust(ctx, s, i); err != nil {
			return err
		}
		if err := out.Encode(done{Object: i}); err != nil {
			return err
		}
	}
}

// checkTrust wants that a bundle and its record are there together.
func checkTrust(t *testing.T, s *Store, least, most int) {
	t.Helper()
	page, err := s.ListTrust(t.Context(), store.TrustQuery{Limit: store.MaxTrustRecords})
	if err != nil {
		t.Fatal(err)
	}
	learned, err := s.LearnedBundles(t.Context())
	if err != nil || len(learned) != 1 {
		t.Fatalf("learned %v, %v", learned, err)
	}
	n := len(page.Records)
	if n < least || n > most || page.Records[n-1].Seq != int64(n) || learned[0].Serial != int64(n) {
		t.Errorf("%d records up to %d with bundle %d; want %d to %d", n, page.Records[n-1].Seq, learned[0].Serial, least, most)
	}
}

func TestAKillLeavesABundleAndItsRecordTogether(t *testing.T) {
	for round := range 3 {
		path := filepath.Join(t.TempDir(), fmt.Sprint(round, ".db"))
		said := killAfter(t, "trust", path, 2+round*9)
		checkTrust(t, open(t, path), said, said+1)
	}
}

func TestAFullDiskLeavesTrustAsItWas(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	if err := appendTrust(t.Context(), s, 1); err != nil {
		t.Fatal(err)
	}
	var pages int
	if err := s.write.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limit := func(n int) {
		t.Helper()
		if _, err := s.write.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", n)); err != nil {
			t.Fatal(err)
		}
	}
	limit(pages)
	n := 2
	for ; ; n++ {
		if err := appendTrust(t.Context(), s, n); err != nil {
			if !errors.Is(err, store.ErrFull) {
				t.Fatalf("AppendTrust: %v, want ErrFull", err)
			}
			break
		}
	}
	checkTrust(t, s, n-1, n-1)
	limit(1 << 20)
	if err := appendTrust(t.Context(), s, n); err != nil {
		t.Errorf("after room was made: %v", err)
	}
	checkTrust(t, s, n, n)
}
