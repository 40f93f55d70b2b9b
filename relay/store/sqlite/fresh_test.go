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

// openFresh is a store whose filter of ids is in use, with messages in-0 to in-69 of a line.
func openFresh(t *testing.T) *Store {
	t.Helper()
	s := open(t, filepath.Join(t.TempDir(), "relay.db"))
	for n := range 70 {
		changeFresh(t, s, func(tx store.LineTx) error { return acceptFresh(tx, fmt.Sprintf("in-%d", n), int64(n+1)) })
	}
	s.ids.reading.Wait()
	if s.ids.mu.Lock(); !s.ids.full {
		t.Error("the filter is not in use")
	}
	s.ids.mu.Unlock()
	return s
}

func changeFresh(t *testing.T, s *Store, change func(tx store.LineTx) error) {
	t.Helper()
	if err := s.ChangeLine(t.Context(), "bravo.example", change); err != nil {
		t.Fatal(err)
	}
}

func freshMessage(id string) store.Message {
	return store.Message{ID: id, Conversation: id, Precedence: "ROUTINE", Payload: []byte(id)}
}

func acceptFresh(tx store.LineTx, id string, serial int64) error {
	m := freshMessage(id)
	m.Serial, m.Receipt = serial, []byte("r")
	_, duplicate, err := tx.Accept(m)
	if duplicate {
		return errors.Join(err, errDuplicate)
	}
	return err
}

var errDuplicate = errors.New("duplicate")

// TestConflictsWithWhatIsNotWrittenYetAreToldAtOnce stores messages of which the store knows that they are new, so that
// it writes them in the end.
func TestConflictsWithWhatIsNotWrittenYetAreToldAtOnce(t *testing.T) {
	s := openFresh(t)
	enqueue := func(tx store.LineTx, id string) error {
		_, err := tx.Enqueue(func(int64) (store.Message, error) { return freshMessage(id), nil })
		return err
	}
	changeFresh(t, s, func(tx store.LineTx) error {
		for i, c := range []struct {
			do   func() error
			want error
		}{
			{func() error { return acceptFresh(tx, "a", 71) }, nil},
			{func() error { return acceptFresh(tx, "a", 71) }, errDuplicate},
			{func() error { return acceptFresh(tx, "b", 71) }, store.ErrConflict},
			{func() error { return acceptFresh(tx, "c", 7) }, store.ErrConflict},
			{func() error { return acceptFresh(tx, "in-7", 72) }, errDuplicate},
			{func() error { return acceptFresh(tx, "b", 72) }, nil},
			{func() error { return enqueue(tx, "a") }, nil},
			{func() error { return enqueue(tx, "a") }, store.ErrConflict},
			{func() error { return tx.PutReceipts(store.Receipt{ID: "a", Body: []byte("r")}) }, nil},
			{func() error { return enqueue(tx, "b") }, nil},
		} {
			if err := c.do(); !errors.Is(err, c.want) {
				t.Errorf("step %d: %v, want %v", i, err, c.want)
			}
		}
		for d, want := range map[store.Direction]int{store.In: 72, store.Out: 2} {
			if stored, err := tx.After(d, 0, store.MaxMessages); len(stored) != want || err != nil {
				t.Errorf("%s: the transaction sees %d messages of its own and before, %v; want %d", d, len(stored), err, want)
			}
		}
		return nil
	})
	for d, want := range map[store.Direction]int{store.In: 72, store.Out: 2} {
		page, err := s.ListMessages(t.Context(), store.MessageQuery{Direction: d, Limit: store.MaxMessages})
		if err != nil || len(page.Messages) != want {
			t.Errorf("%s: %d messages, %v; want %d", d, len(page.Messages), err, want)
		}
	}
	if pending, err := s.Pending(t.Context(), "bravo.example", 9); err != nil || len(pending) != 1 || pending[0].ID != "b" || pending[0].Serial != 2 {
		t.Errorf("%+v wait, %v; want b", pending, err)
	}
}

// TestWhatCannotBeWrittenInTheEndUndoesAll lets the last write fail where the first statement after it reads.
func TestWhatCannotBeWrittenInTheEndUndoesAll(t *testing.T) {
	s := openFresh(t)
	if _, err := s.write.ExecContext(t.Context(), "CREATE TRIGGER no BEFORE INSERT ON messages WHEN NEW.id LIKE 'refused%' BEGIN SELECT RAISE(ROLLBACK, 'on purpose'); END"); err != nil {
		t.Fatal(err)
	}
	for name, after := range map[string]func(tx store.LineTx) error{
		"a row":     func(tx store.LineTx) error { _, _, err := tx.Proof(store.In, "in-1"); return err },
		"rows":      func(tx store.LineTx) error { _, err := tx.After(store.In, 0, 9); return err },
		"a change":  func(tx store.LineTx) error { return tx.Place(store.In, "in-1", 9) },
		"no errors": func(tx store.LineTx) error { _ = tx.Place(store.In, "in-1", 9); return nil },
		"nothing":   func(store.LineTx) error { return nil },
		"what is neither seen nor sees": func(tx store.LineTx) error {
			_ = tx.Place(store.In, "in-1", 9)
			if err := tx.Append(freshBatch()); err == nil {
				t.Error("the journal grew after its transaction was undone")
			}
			return nil
		},
		"an acknowledgement": func(tx store.LineTx) error {
			_, err := tx.Enqueue(func(int64) (store.Message, error) {
				m := freshMessage("ack")
				m.Kind, m.InReplyTo = "ACK", "in-1"
				return m, nil
			})
			if errors.Is(err, store.ErrConflict) {
				t.Error("what cannot be read is said to be a conflict")
			}
			return err
		},
	} {
		err := s.ChangeLine(t.Context(), "bravo.example", func(tx store.LineTx) error {
			_, _, journal := tx.Journal() // it is known from here on
			if err := errors.Join(journal, acceptFresh(tx, name, 71), acceptFresh(tx, "refused "+name, 72)); err != nil {
				t.Errorf("before %s: %v", name, err)
			}
			return after(tx)
		})
		if err == nil || !strings.Contains(err.Error(), "on purpose") {
			t.Errorf("%s: %v, want why it could not be written", name, err)
		}
		if _, err := s.GetMessage(t.Context(), store.In, "bravo.example", name); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: the message before it: %v", name, err)
		}
		if batches, err := journalOf(t, s); err != nil || len(batches) != 0 {
			t.Errorf("%s: the journal has %d batches, %v", name, len(batches), err)
		}
		if m, err := s.GetMessage(t.Context(), store.In, "bravo.example", "in-1"); err != nil || m.Entry != 0 {
			t.Errorf("%s: a message stored before has place %d, %v", name, m.Entry, err)
		}
	}
	changeFresh(t, s, func(tx store.LineTx) error { return acceptFresh(tx, "a", 71) })
}

// freshBatch is the first of a journal.
func freshBatch() store.JournalBatch {
	return store.JournalBatch{
		Entries: []store.JournalEntry{{Kind: "note", Body: []byte("x")}}, Hashes: make([]store.Hash, 1),
		Checkpoint: store.Checkpoint{Size: 1, Signed: []byte("s"), Chain: []byte("c")},
	}
}

func journalOf(t *testing.T, s *Store) (batches []store.JournalBatch, err error) {
	t.Helper()
	err = s.ReadLine(t.Context(), "bravo.example", func(r store.LineReader) error {
		batches, err = r.JournalBatches(0, 9)
		return err
	})
	return batches, err
}
