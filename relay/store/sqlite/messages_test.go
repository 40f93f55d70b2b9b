// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

// TestManyMessagesAreCarriedIntoTheDatabaseBesideTheWriter keeps SQLite from doing so within a commit.
func TestManyMessagesAreCarriedIntoTheDatabaseBesideTheWriter(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	s.checkpoints.most = 1 << 20
	for n := range 60 {
		if err := s.ChangeLine(t.Context(), "bravo", func(tx store.LineTx) error {
			for i := range 64 {
				id := fmt.Sprintf("m%d-%d", n, i)
				if _, err := tx.Enqueue(func(int64) (store.Message, error) {
					return store.Message{ID: id, Conversation: id, Payload: make([]byte, 1024)}, nil
				}); err != nil {
					return err
				}
				if err := tx.PutReceipts(store.Receipt{ID: id, Body: make([]byte, 200)}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		s.checkpoints.running.Wait()
		info, err := s.log.Stat()
		if err != nil || info.Size() > 2*s.checkpoints.most {
			t.Fatalf("after %d batches the log has %d bytes, %v; want at most %d", n+1, info.Size(), err, 2*s.checkpoints.most)
		}
	}
}

// beforeStep makes a database as a release before a migration, by its number, left it, and fills it.
func beforeStep(t *testing.T, path, number string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	registerKey()
	known, err := steps()
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range known {
		if strings.Contains(name, number) {
			break
		}
		if err := migrateStep(context.Background(), db, name, i+1); err != nil {
			t.Fatal(err)
		}
	}
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// TestJournalsOfAnEarlierReleaseStay: each has its own, and goes on.
func TestJournalsOfAnEarlierReleaseStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	const batch = `INSERT INTO journals (peer, size, first, first_hash, next_hash, entries, hashes, root, signed, chain, stored_at) VALUES `
	statements := []string{"INSERT INTO signer_chains (id, chain) VALUES (7, CAST('chain' AS BLOB))"}
	for _, peer := range []string{"bravo", "alfa"} {
		for size := range 3 {
			statements = append(statements, fmt.Sprintf(batch+`('%s', %d, %d, %d, %d, CAST('[{"kind":"act/1"}]' AS BLOB), CAST('%032d' AS BLOB), zeroblob(32), CAST('%s %d' AS BLOB), 7, 1)`,
				peer, size+1, size, size, size+1, size, peer, size+1))
		}
	}
	beforeStep(t, path, "0020", statements...)
	s := open(t, path)
	for _, peer := range []string{"alfa", "bravo", "charlie"} {
		for size := range int64(4) {
			if peer != "charlie" && size < 3 {
				continue
			}
			if err := s.ChangeLine(t.Context(), peer, func(tx store.LineTx) error {
				return tx.Append(store.JournalBatch{
					First: size, FirstHash: size, Entries: []store.JournalEntry{{Kind: "act/1"}}, Hashes: []store.Hash{store.Hash(fmt.Appendf(nil, "%032d", size))},
					Checkpoint: store.Checkpoint{Size: size + 1, Signed: fmt.Appendf(nil, "%s %d", peer, size+1), Chain: []byte("chain")},
				})
			}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.ReadLine(t.Context(), peer, func(l store.LineReader) error {
			newest, hashes, err := l.Journal()
			if string(newest.Signed) != peer+" 4" || newest.Size != 4 || hashes != 4 {
				t.Errorf("%s: the newest checkpoint is %q of %d entries and %d hashes", peer, newest.Signed, newest.Size, hashes)
			}
			batches, more := l.JournalBatches(1, 9)
			for i, b := range batches {
				if want := fmt.Sprintf("%s %d", peer, i+2); string(b.Checkpoint.Signed) != want || string(b.Checkpoint.Chain) != "chain" || b.First != int64(i)+1 {
					t.Errorf("%s: batch %d is %q, want %q", peer, i, b.Checkpoint.Signed, want)
				}
			}
			found, none := l.JournalHashes([]int64{0, 3, 2})
			for i, want := range []int{0, 3, 2} {
				if len(batches) != 3 || string(found[i][:]) != fmt.Sprintf("%032d", want) {
					t.Errorf("%s: %d batches, hash %d is %q", peer, len(batches), want, found[i])
				}
			}
			if _, err := l.JournalHashes([]int64{4}); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: a hash too far: %v", peer, err)
			}
			return errors.Join(err, more, none)
		}); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatAnEarlierReleaseStoredStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	const message = `INSERT INTO messages (direction, peer, id, serial, conversation, kind, precedence, urgency, in_reply_to, payload, created_at, stored_at, receipt, receipt_at, proof, proof_chain)
		VALUES `
	beforeStep(t, path, "0020", "INSERT INTO lines (peer, out_serial, in_messages, in_serial) VALUES ('bravo', 4, 1, 1)",
		"INSERT INTO signer_chains (id, chain) VALUES (7, CAST('chain' AS BLOB))",
		message+"('out', 'bravo', 'a', 1, 'a', 'INQUIRY', 'ROUTINE', 3, '', x'01', 1, 1, CAST('receipt' AS BLOB), 5, CAST('text' AS BLOB), 7)",
		message+"('out', 'bravo', 'b', 2, 'b', 'INQUIRY', 'ROUTINE', 3, '', x'02', 1, 1, NULL, 0, NULL, 0)",
		message+"('out', 'bravo', 'c', 3, 'b', 'INQUIRY', 'ROUTINE', 3, '', x'03', 1, 1, NULL, 0, NULL, 0)",
		message+"('out', 'bravo', 'd', 4, 'd', 'INQUIRY', 'PRIORITY', 2, '', x'04', 1, 1, NULL, 0, NULL, 0)",
		message+"('in', 'bravo', 'x', 1, 'x', 'INQUIRY', 'FLASH', 0, '', x'05', 1, 1, CAST('ours' AS BLOB), 6, CAST('theirs' AS BLOB), 7)")
	s := open(t, path)
	queued := func(want string) {
		t.Helper()
		pending, err := s.Pending(t.Context(), "bravo", 10)
		var ids []string
		for _, m := range pending {
			ids = append(ids, m.ID)
		}
		if got := strings.Join(ids, " "); err != nil || got != want {
			t.Errorf("queued are %q, %v; want %q", got, err, want)
		}
	}
	queued("d b c")
	counts, err := s.CountMessages(t.Context(), "bravo")
	if err != nil || counts.Queued != 3 || counts.LastReceipt.UnixMicro() != 5 {
		t.Errorf("counts are %+v, %v", counts, err)
	}
	for d, want := range map[store.Direction][3]string{store.Out: {"a", "receipt", "text"}, store.In: {"x", "ours", "theirs"}} {
		m, err := s.GetMessage(t.Context(), d, "bravo", want[0])
		if err != nil || string(m.Receipt) != want[1] || m.ReceiptAt.IsZero() {
			t.Errorf("message %s has the receipt %q, %v", want[0], m.Receipt, err)
		}
		if err := s.ReadLine(t.Context(), "bravo", func(l store.LineReader) error {
			proof, chain, err := l.Proof(d, want[0])
			if string(proof) != want[2] || string(chain) != "chain" {
				t.Errorf("message %s has the proof %q of %q", want[0], proof, chain)
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	}
	// A receipt that comes again, receipts of what was queued, and an urgent message of their conversation.
	if err := s.ChangeLine(t.Context(), "bravo", func(tx store.LineTx) error {
		if _, err := tx.Enqueue(func(int64) (store.Message, error) {
			return store.Message{ID: "e", Conversation: "b", Precedence: "FLASH"}, nil
		}); err != nil {
			return err
		}
		return tx.PutReceipts(store.Receipt{ID: "a", Body: []byte("other")}, store.Receipt{ID: "b", Body: []byte("one")}, store.Receipt{ID: "b", Body: []byte("two")})
	}); err != nil {
		t.Fatal(err)
	}
	queued("c e d")
	for id, want := range map[string]string{"a": "receipt", "b": "one"} {
		if m, err := s.GetMessage(t.Context(), store.Out, "bravo", id); err != nil || string(m.Receipt) != want {
			t.Errorf("message %s has the receipt %q, %v", id, m.Receipt, err)
		}
	}
}
