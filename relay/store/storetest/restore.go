// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// givenBack is a message of ours with its receipt, as a peer gives it back.
func givenBack(id string, serial int64) store.Message {
	m := message(id)
	m.Serial, m.Payload, m.Receipt, m.ReceiptAt = serial, []byte("original "+id), []byte("receipt"), epoch
	m.Proof = evidence("chain").proof(7, 0)
	return m
}

// numbered is what a moved message says then.
func numbered(old store.Message, serial int64) (store.Message, error) {
	old.Payload = fmt.Appendf(nil, "%s as %d", old.ID, serial)
	return old, nil
}

func restores(t *testing.T, e env) {
	for _, id := range []string{"a", "b", "c"} {
		mustEnqueue(t, e, message(id))
	}
	mustChange(t, e, func(l store.LineTx) error {
		return l.PutReceipts(store.Receipt{ID: "a", Body: []byte("receipt"), At: epoch})
	})
	for name, change := range map[string]func(l store.LineTx) error{
		"a taken id":                         func(l store.LineTx) error { return l.Restore(givenBack("b", 9)) },
		"a taken serial":                     func(l store.LineTx) error { return l.Restore(givenBack("x", 2)) },
		"to move what was sent":              func(l store.LineTx) error { _, err := l.Move("a", 9, numbered); return err },
		"to move to a message that waits":    func(l store.LineTx) error { _, err := l.Move("b", 3, numbered); return err },
		"to move to a message that was sent": func(l store.LineTx) error { _, err := l.Move("c", 1, numbered); return err },
	} {
		if err := e.ChangeLine(t.Context(), "bravo.example", change); !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	mustChange(t, e, func(l store.LineTx) error { // b and c make room for another
		for i, id := range []string{"c", "b"} {
			if _, err := l.Move("b", 3, numbered); i == 0 && !errors.Is(err, store.ErrConflict) {
				return fmt.Errorf("moving b where c is: %w", err)
			}
			if _, err := l.Move(id, int64(4-i), numbered); err != nil {
				return err
			}
		}
		return errors.Join(l.Restore(givenBack("x", 2)), l.Reserve(4))
	})
	for id, serial := range map[string]int64{"a": 1, "x": 2, "b": 3, "c": 4} {
		same(t, "serial of "+id, mustGet(t, e, store.Out, id).Serial, serial)
	}
	same(t, "payload", string(mustGet(t, e, store.Out, "c").Payload), "c as 4")
	same(t, "pending", pendingIDs(t, e, 10), []string{"b", "c"})
	same(t, "next serial", mustEnqueue(t, e, message("d")).Serial, int64(5))
	mustChange(t, e, func(l store.LineTx) error { return l.Reserve(2) })
	same(t, "serial after less was reserved", mustEnqueue(t, e, message("e")).Serial, int64(6))
	mustChange(t, e, func(l store.LineTx) error { return l.Reserve(20) })
	same(t, "serial after more was reserved", mustEnqueue(t, e, message("f")).Serial, int64(21))
	mustRead(t, e, func(l store.LineReader) error {
		proof, chain, err := l.Proof(store.Out, "x")
		same(t, "proof", string(proof), proven(7, 0))
		same(t, "chain", string(chain), "chain")
		return err
	})
}

func replaces(t *testing.T, e env) {
	b := batch(0, 1)
	mustChange(t, e, func(l store.LineTx) error {
		m := message("m")
		m.Entry = 1
		stored, err := l.Enqueue(func(int64) (store.Message, error) { return m, nil })
		b.Entries[0] = store.JournalEntry{Kind: "message/1", Message: "m", Body: stored.Payload}
		return errors.Join(err, l.Append(b))
	})
	mustEnqueue(t, e, message("n"))
	entered := mustGet(t, e, store.Out, "m").Payload
	wantErr(t, e.ChangeLine(t.Context(), "bravo.example", func(l store.LineTx) error { return l.Replace(givenBack("none", 7)) }), store.ErrNotFound)
	wantErr(t, e.ChangeLine(t.Context(), "bravo.example", func(l store.LineTx) error { return l.Replace(givenBack("m", 2)) }), store.ErrConflict)
	mustChange(t, e, func(l store.LineTx) error { return l.Replace(givenBack("m", 7)) })
	got := mustGet(t, e, store.Out, "m")
	same(t, "serial", got.Serial, int64(7))
	same(t, "payload", string(got.Payload), "original m")
	same(t, "receipt", string(got.Receipt), "receipt")
	same(t, "pending", pendingIDs(t, e, 10), []string{"n"})
	wantErr(t, e.ChangeLine(t.Context(), "bravo.example", func(l store.LineTx) error { return l.Replace(givenBack("m", 8)) }), store.ErrConflict)
	mustRead(t, e, func(l store.LineReader) error {
		list, err := l.JournalBatches(0, 1)
		if err == nil {
			same(t, "what was entered before", string(list[0].Entries[0].Body), string(entered))
		}
		return err
	})
}

func breaksPeerJournal(t *testing.T, e env) {
	mustChange(t, e, func(l store.LineTx) error {
		return errors.Join(l.KeepPeerCheckpoint(batch(0, 7).Checkpoint), l.KeepPeerCheckpoint(batch(0, 9).Checkpoint))
	})
	other := batch(0, 7).Checkpoint
	other.Root = hash(77)
	at := epoch.Add(time.Hour)
	mustChange(t, e, func(l store.LineTx) error {
		return errors.Join(l.BreakPeerJournal(store.Break{At: at, OldSize: 9, Size: 7, Note: []byte("note")}, other),
			l.BreakJournal(store.Break{At: at, OldSize: 3, Size: 2, Note: []byte("ours")}))
	})
	mustRead(t, e, func(l store.LineReader) error {
		newest, err := l.PeerCheckpoint()
		same(t, "newest", newest.Root, other.Root)
		same(t, "era", newest.Era, int64(1))
		if err != nil {
			return err
		}
		list, err := l.PeerCheckpoints(0, 10)
		same(t, "of the present era", len(list), 1)
		if err != nil {
			return err
		}
		theirs, err := l.Breaks(false)
		same(t, "their breaks", theirs, []store.Break{{At: at, OldSize: 9, Size: 7, Note: []byte("note")}})
		if err != nil {
			return err
		}
		ours, err := l.Breaks(true)
		same(t, "our breaks", ours, []store.Break{{At: at, OldSize: 3, Size: 2, Note: []byte("ours")}})
		return err
	})
	mustChange(t, e, func(l store.LineTx) error { return l.KeepPeerCheckpoint(batch(0, 9).Checkpoint) })
	mustChange(t, e, func(l store.LineTx) error {
		newest, err := l.PeerCheckpoint()
		same(t, "the next in the new era", []int64{newest.Era, newest.Size}, []int64{1, 9})
		return err
	})
}

func whole(t *testing.T, e env) {
	wholes := func(out, in int64) {
		t.Helper()
		mustRead(t, e, func(l store.LineReader) error {
			gotOut, err := l.Whole(store.Out)
			same(t, "whole of ours", gotOut, out)
			if err != nil {
				return err
			}
			gotIn, err := l.Whole(store.In)
			same(t, "whole of theirs", gotIn, in)
			return err
		})
	}
	wholes(0, 0)
	mustAccept(t, e, received("in2", 2))
	mustEnqueue(t, e, message("a"))
	mustEnqueue(t, e, message("b"))
	wholes(0, 0)
	mustAccept(t, e, received("in1", 1))
	mustAccept(t, e, received("in4", 4))
	mustChange(t, e, func(l store.LineTx) error {
		return l.PutReceipts(store.Receipt{ID: "a", Body: []byte("receipt"), At: epoch})
	})
	wholes(1, 2)
	mustAccept(t, e, received("in3", 3))
	mustChange(t, e, func(l store.LineTx) error {
		return l.PutReceipts(store.Receipt{ID: "b", Body: []byte("receipt"), At: epoch})
	})
	wholes(2, 4)
	mustRead(t, e, func(l store.LineReader) error {
		for _, want := range []struct {
			after int64
			limit int
			ids   string
		}{{0, 10, "[in1 in2 in3 in4]"}, {2, 10, "[in3 in4]"}, {1, 1, "[in2]"}, {4, 10, "[]"}} {
			list, err := l.After(store.In, want.after, want.limit)
			if err != nil {
				return err
			}
			same(t, fmt.Sprint("after ", want.after), fmt.Sprint(messageIDs(list)), want.ids)
		}
		return nil
	})
}
