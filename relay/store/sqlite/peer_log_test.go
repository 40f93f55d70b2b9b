// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certlink/certlink/relay/store"
)

// counted is what a query counts.
func counted(t *testing.T, s *Store, query string) (n int) {
	t.Helper()
	if err := s.read.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestACheckpointThatCameWithMessagesIsStoredOnce(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	l := &benchLine{b: t, s: s}
	const times = 2 * keptNewest
	for range times {
		if err := errors.Join(l.enqueue(2), l.accept(1), l.receipts(2)); err != nil {
			t.Fatal(err)
		}
	}
	if all, alone := counted(t, s, "SELECT count(*) FROM evidence"), counted(t, s, "SELECT count(*) FROM evidence WHERE alone = 1"); all != 2*times || alone != 0 {
		t.Errorf("of %d batches there are %d rows, %d of them prove nothing", 2*times, all, alone)
	}
}

// TestOfCheckpointsThatProveNothingOnlyTheNewestStay: the others are there for what they prove.
func TestOfCheckpointsThatProveNothingOnlyTheNewestStay(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	l := &benchLine{b: t, s: s}
	const times = 3 * keptNewest
	for i := range times {
		err := s.ChangeLine(t.Context(), "bravo.example", func(tx store.LineTx) error { return l.keep(tx, 1) })
		if i%3 == 0 {
			err = errors.Join(err, l.accept(1))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := counted(t, s, "SELECT count(*) FROM evidence WHERE alone = 0"); n != times/3 {
		t.Errorf("%d batches left %d rows", times/3, n)
	}
	if n := counted(t, s, "SELECT count(*) FROM evidence WHERE alone = 1"); n > keptNewest {
		t.Errorf("%d checkpoints that prove nothing are kept", n)
	}
	if n := counted(t, s, "SELECT count(*) FROM evidence WHERE alone = 1"); n < keptNewest/2 {
		t.Errorf("of the newest %d checkpoints only %d are kept that prove nothing", keptNewest, n)
	}
}

// TestCheckpointsOfAnEarlierReleaseStay: those of each line in their eras, and others follow.
func TestCheckpointsOfAnEarlierReleaseStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	statements := []string{
		"INSERT INTO signer_chains (id, chain) VALUES (7, CAST('chain' AS BLOB))",
		"INSERT INTO evidence (id, checkpoint, hashes, chain) VALUES (1, CAST('earlier' AS BLOB), x'', 7)",
		`INSERT INTO messages (direction, peer, id, serial, conversation, kind, precedence, urgency, in_reply_to, payload, created_at, stored_at, receipt, receipt_at, proof, evidence)
			VALUES ('in', 'bravo', 'x', 1, 'x', 'INQUIRY', 'FLASH', 0, '', x'05', 1, 1, CAST('ours' AS BLOB), 6, x'00', 1)`,
	}
	type kept struct {
		peer      string
		era, size int64
	}
	for _, k := range []kept{{"bravo", 0, 5}, {"bravo", 0, 9}, {"alfa", 0, 4}, {"bravo", 2, 3}, {"bravo", 2, 6}, {"alfa", 0, 70}} {
		statements = append(statements, fmt.Sprintf(`INSERT INTO peer_checkpoints (peer, era, size, root, signed, chain, stored_at)
			VALUES ('%s', %d, %d, CAST('%032d' AS BLOB), CAST('%[1]s %[2]d %[3]d' AS BLOB), 7, 5)`, k.peer, k.era, k.size, k.size))
	}
	beforeStep(t, path, "0030", statements...)
	s := open(t, path)
	want := func(peer string, list ...kept) {
		t.Helper()
		if err := s.ReadLine(t.Context(), peer, func(l store.LineReader) error {
			newest, err := l.PeerCheckpoint()
			all, more := l.PeerCheckpoints(0, 100)
			if len(all) != len(list) || newest.Size != list[len(list)-1].size {
				t.Fatalf("%s: %d checkpoints are kept, the newest of %d entries", peer, len(all), newest.Size)
			}
			for i, k := range list {
				c := all[i]
				if got := fmt.Sprint(c.Size, c.Era, string(c.Root[:]), string(c.Signed), string(c.Chain)); c.At.IsZero() ||
					got != fmt.Sprint(k.size, k.era, fmt.Sprintf("%032d", k.size), fmt.Sprintf("%s %d %d", k.peer, k.era, k.size), "chain") {
					t.Errorf("%s: checkpoint %d is %s", peer, i, got)
				}
			}
			return errors.Join(err, more)
		}); err != nil {
			t.Error(err)
		}
	}
	want("alfa", kept{"alfa", 0, 4}, kept{"alfa", 0, 70})
	want("bravo", kept{"bravo", 2, 3}, kept{"bravo", 2, 6})
	change := func(do func(l store.LineTx) error) {
		t.Helper()
		if err := s.ChangeLine(t.Context(), "bravo", do); err != nil {
			t.Error(err)
		}
	}
	checkpoint := func(era, size int64) store.Checkpoint {
		return store.Checkpoint{Size: size, Root: store.Hash(fmt.Appendf(nil, "%032d", size)), Signed: fmt.Appendf(nil, "bravo %d %d", era, size), Chain: []byte("chain")}
	}
	change(func(l store.LineTx) error {
		m := store.Message{ID: "y", Serial: 2, Payload: []byte("y"), Receipt: []byte("r"), Proof: proofOf(&store.Evidence{Checkpoint: []byte("other"), Chain: []byte("chain")}, 0)}
		_, _, err := l.Accept(m)
		return errors.Join(l.KeepPeerCheckpoint(checkpoint(2, 8)), err)
	})
	want("bravo", kept{"bravo", 2, 3}, kept{"bravo", 2, 6}, kept{"bravo", 2, 8})
	if n := counted(t, s, "SELECT evidence FROM messages WHERE id = 'y'"); n != 2 {
		t.Errorf("evidence that came with no checkpoint has the number %d", n)
	}
	change(func(l store.LineTx) error { return l.BreakPeerJournal(store.Break{Size: 1}, checkpoint(3, 2)) })
	want("bravo", kept{"bravo", 3, 2})
	if err := s.ReadLine(t.Context(), "bravo", func(l store.LineReader) error {
		proof, chain, err := l.Proof(store.In, "x")
		if !strings.Contains(string(proof), "earlier") || string(chain) != "chain" {
			t.Errorf("the message of before is proven by %q of %q", proof, chain)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}
