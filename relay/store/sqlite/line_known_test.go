// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"modernc.org/sqlite"

	"github.com/certlink/certlink/relay/store"
)

// counting is a connector whose connections note the statements that they run.
type counting struct {
	driver.Connector
	ran *[]string
}

func (c counting) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &countingConn{conn: inner.(conn), ran: c.ran}, nil
}

type countingConn struct {
	conn
	ran *[]string
}

func (c *countingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if query != sqlBeginWriting && query != sqlCommit {
		*c.ran = append(*c.ran, query)
	}
	return c.conn.ExecContext(ctx, query, args)
}

func (c *countingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	*c.ran = append(*c.ran, query)
	return c.conn.QueryContext(ctx, query, args)
}

// TestATransactionOfFewMessagesIsFewStatements holds what one message alone costs: nearly all of
// it are the statements of its transactions, between BEGIN and COMMIT, and the pages they write.
func TestATransactionOfFewMessagesIsFewStatements(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	if err := s.write.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := sqlite.NewConnector(dsn(s.path, "immediate"))
	if err != nil {
		t.Fatal(err)
	}
	var ran []string
	s.write = sql.OpenDB(counting{connector{c}, &ran})
	s.write.SetMaxOpenConns(1)
	l := &benchLine{b: t, s: s}
	for range 2 * keptNewest { // until checkpoints are let go of
		if err := errors.Join(l.enqueue(1), l.accept(1), l.receipts(1)); err != nil {
			t.Fatal(err)
		}
	}
	s.length.running.Wait() // its statements are none of theirs
	s.ids.reading.Wait()
	for _, c := range []struct {
		name     string
		do       func(n int) error
		messages int
		most     int
	}{
		// the version of the file, message, place in the queue, entry, serial
		{"enqueue", l.enqueue, 1, 5},
		// the version of the file, message, checkpoint with evidence, entry, count
		{"accept", l.accept, 1, 5},
		// the version of the file, out of the queue, checkpoint with evidence, receipt
		{"receipts", l.receipts, 1, 4},
		{"enqueue 64", l.enqueue, 64, 5},
		{"accept 64", l.accept, 64, 5},
		{"receipts 64", l.receipts, 64, 4},
	} {
		ran = nil
		if err := c.do(c.messages); err != nil {
			t.Fatal(err)
		}
		if len(ran) > c.most {
			t.Errorf("%s takes %d statements, more than %d:\n%s", c.name, len(ran), c.most, strings.Join(ran, "\n"))
		}
	}
}

// knownLine does what happens to a line at random, by a seed.
type knownLine struct {
	t     *testing.T
	s     *Store
	now   time.Time
	r     *rand.Rand
	ids   []string
	n     int
	peer  int64
	first int
	// fails lets the next commit fail.
	fails bool
}

func (k *knownLine) id() string { k.n++; return fmt.Sprintf("m%04d", k.n) }

// errOnPurpose undoes a change.
var errOnPurpose = errors.New("on purpose")

// step does a few things in one transaction and returns what they answered.
func (k *knownLine) step() string {
	answers, ids, fails := "", slices.Clone(k.ids), k.r.IntN(8) == 0
	k.fails = !fails && k.r.IntN(8) == 0
	err := k.s.ChangeLine(k.t.Context(), "bravo.example", func(tx store.LineTx) error {
		for range 1 + k.r.IntN(4) {
			answer, err := k.one(tx)
			if answers += answer + "; "; err != nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			answers += fmt.Sprint(err, "; ")
		}
		if fails {
			return errOnPurpose
		}
		return nil
	})
	if k.fails = false; err != nil {
		k.ids = ids
	}
	return answers + fmt.Sprint(err)
}

func (k *knownLine) one(tx store.LineTx) (string, error) {
	some := func() string {
		if len(k.ids) == 0 {
			return "none"
		}
		return k.ids[k.r.IntN(len(k.ids))]
	}
	compose := func(id string) func(int64) (store.Message, error) {
		m := store.Message{ID: id, Conversation: id, Precedence: []string{"ROUTINE", "PRIORITY", "FLASH"}[k.r.IntN(3)], Payload: []byte(id), CreatedAt: k.now}
		if k.r.IntN(3) == 0 && len(k.ids) > 0 {
			m.Conversation = k.ids[max(0, len(k.ids)-1-k.r.IntN(4))]
		}
		return func(int64) (store.Message, error) { return m, nil }
	}
	switch k.r.IntN(14) {
	case 0, 1, 2, 3, 4:
		id := k.id()
		m, err := tx.Enqueue(compose(id))
		if err == nil {
			k.ids = append(k.ids, id)
		}
		return fmt.Sprint("enqueued ", m.ID, m.Serial), err
	case 5, 6:
		var list []store.Receipt
		of := &store.Evidence{Checkpoint: []byte("c"), Hashes: []byte("h"), Chain: []byte("chain " + some())}
		if k.r.IntN(2) == 0 {
			of.Checkpoint, of.Chain = []byte("s"), chain // as one that may have been kept a moment ago
		}
		for _, id := range k.ids[max(0, len(k.ids)-1-k.r.IntN(8)):] {
			if k.r.IntN(10) == 0 {
				id = some()
			}
			list = append(list, store.Receipt{ID: id, Body: []byte("receipt"), At: k.now, Proof: store.Proof{Of: of}})
		}
		return fmt.Sprint("receipts ", len(list)), tx.PutReceipts(list...)
	case 7, 8:
		k.peer += int64(k.r.IntN(3)) - int64(k.r.IntN(20)/19)
		c, known := tx.PeerCheckpoint()
		if known != nil && !errors.Is(known, store.ErrNotFound) {
			return "", known
		}
		return fmt.Sprint("checkpoint ", c.Size, c.At), tx.KeepPeerCheckpoint(store.Checkpoint{Size: k.peer + 100, Signed: []byte("s"), Chain: chain})
	case 9:
		newest, hashes, err := tx.Journal()
		if err != nil {
			return "", err
		}
		return fmt.Sprint("journal ", newest.Size, newest.At, hashes), tx.Append(grown(newest, hashes, []store.JournalEntry{{Kind: "act/1", Body: []byte("x")}}))
	case 10:
		k.now = k.now.Add(7 * time.Hour)
		m := store.Message{ID: k.id(), Serial: int64(k.n), Payload: []byte("in"), Receipt: []byte("r"), ReceiptAt: k.now}
		_, duplicate, err := tx.Accept(m)
		return fmt.Sprint("accepted ", duplicate), err
	}
	return k.seldom(tx, some())
}

func (k *knownLine) seldom(tx store.LineTx, id string) (string, error) {
	switch k.r.IntN(5) {
	case 0:
		m, err := tx.Move(id, int64(100_000+k.n), func(old store.Message, serial int64) (store.Message, error) {
			old.Serial = serial
			return old, nil
		})
		return fmt.Sprint("moved ", m.ID), err
	case 1:
		return "reserved", tx.Reserve(int64(k.r.IntN(2 * (k.n + 1))))
	case 2:
		restored := k.id()
		err := tx.Restore(store.Message{ID: restored, Conversation: restored, Serial: int64(200_000 + k.n), Payload: []byte("x")})
		if err == nil {
			k.ids = append(k.ids, restored)
		}
		return "restored", err
	case 3:
		k.first++
		return "broken", tx.BreakPeerJournal(store.Break{At: k.now.Add(time.Duration(k.first))}, store.Checkpoint{Size: k.peer + 1, Signed: []byte("e"), Chain: chain})
	}
	whole, err := tx.Whole(store.Out)
	return fmt.Sprint("whole ", whole), err
}

// dump is all that is stored of the hotline.
func dump(t *testing.T, s *Store) string {
	t.Helper()
	var all strings.Builder
	for _, table := range []string{"messages ORDER BY pos", "queued", "receipts", "evidence", "journals", "peer_logs", "lines", "signer_chains", "journal_breaks"} {
		dumpTable(t, s, table, &all)
	}
	return all.String()
}

func dumpTable(t *testing.T, s *Store, table string, all *strings.Builder) {
	t.Helper()
	rows, err := s.read.QueryContext(t.Context(), "SELECT * FROM "+table)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values := make([]any, len(names))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		for i := range values {
			fmt.Fprintf(all, "%s=%v ", names[i], *(values[i].(*any)))
		}
		fmt.Fprintln(all, table)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// TestWhatTheWriterRemembersChangesNothing does the same to a store that remembers, to one that
// forgets everything before each transaction, and to one whose transactions are made by two processes in turns.
func TestWhatTheWriterRemembersChangesNothing(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			line := func(path string) *knownLine {
				k := &knownLine{t: t, now: time.Unix(1_700_000_000, 0), r: rand.New(rand.NewPCG(seed, 1))}
				k.s = openBreaking(t, path, func() time.Time { return k.now }, &k.fails)
				return k
			}
			remembers, forgets, shared := line(filepath.Join(t.TempDir(), "1.db")), line(filepath.Join(t.TempDir(), "2.db")), line(filepath.Join(t.TempDir(), "3.db"))
			one, other := shared.s, openBreaking(t, shared.s.path, func() time.Time { return shared.now }, &shared.fails)
			for n := range 300 {
				forgets.s.length.running.Wait() // nobody else has the turn then
				forgets.s.lines.forget()
				shared.s = []*Store{one, other}[n/3%2]
				got, want, both := remembers.step(), forgets.step(), shared.step()
				if got != want || both != want {
					t.Fatalf("step %d: one that remembers answers\n%s\none that forgets\n%s\ntwo in turns\n%s", n, got, want, both)
				}
			}
			want := dump(t, forgets.s)
			if got := dump(t, remembers.s); got != want {
				t.Errorf("one that remembers stores\n%s\none that forgets\n%s", got, want)
			}
			if got := dump(t, one); got != want {
				t.Errorf("two in turns store\n%s\none that forgets\n%s", got, want)
			}
		})
	}
}

func openAt(t *testing.T, path string, now func() time.Time) *Store {
	t.Helper()
	s, err := Open(t.Context(), Config{Path: path, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
