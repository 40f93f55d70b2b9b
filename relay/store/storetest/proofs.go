// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/store"
)

// checkpoint of a batch of the peer.
const checkpoint = "alfa.example/certlink/hotline/bravo.example\n9\nroot=\n\n— alfa.example signature=\n"

// said is what a batch of the peer has in common: three hashes, signed by a chain.
type said struct{ store.Evidence }

func evidence(chain string) *said {
	e := &said{store.Evidence{Checkpoint: []byte(checkpoint), Chain: []byte(chain)}}
	for i := range 3 {
		h := hash(i)
		e.Hashes = append(e.Hashes, h[:]...)
	}
	return e
}

func (e *said) proof(index int64, path ...uint16) store.Proof {
	return store.Proof{Of: &e.Evidence, Index: index, Path: path}
}

// proven is the text of a proof.
func proven(index int64, path ...int) string {
	p := journal.Proof{Index: index, Checkpoint: []byte(checkpoint)}
	for _, i := range path {
		p.Path = append(p.Path, tlog.Hash(hash(i)))
	}
	return string(p.Text())
}

func sharesEvidence(t *testing.T, e env) {
	for _, id := range []string{"a", "b", "c"} {
		mustEnqueue(t, e, message(id))
	}
	one, two := evidence("one"), evidence("two")
	accept := func(l store.LineTx, id string, serial int64, p store.Proof) error {
		m := message(id)
		m.Serial, m.Receipt, m.ReceiptAt, m.Proof = serial, []byte("ours"), epoch, p
		_, _, err := l.Accept(m)
		return err
	}
	receipt := func(id string, p store.Proof) store.Receipt {
		return store.Receipt{ID: id, Body: []byte("theirs"), At: epoch, Proof: p}
	}
	change := func(l store.LineTx) error {
		return errors.Join(
			accept(l, "x", 1, one.proof(70000, 0, 2)), accept(l, "y", 2, two.proof(1, 1)), accept(l, "z", 3, one.proof(0)),
			l.PutReceipts(receipt("a", two.proof(2, 2, 1, 0)), receipt("b", one.proof(3, 1)), receipt("c", store.Proof{})))
	}
	mustChange(t, e, change)
	mustChange(t, e, change) // the first stays
	again := e.reopen(t, Options{})
	for _, want := range []struct {
		d               store.Direction
		id, text, chain string
	}{
		{store.In, "x", proven(70000, 0, 2), "one"},
		{store.In, "y", proven(1, 1), "two"},
		{store.In, "z", proven(0), "one"},
		{store.Out, "a", proven(2, 2, 1, 0), "two"},
		{store.Out, "b", proven(3, 1), "one"},
		{store.Out, "c", "", ""},
	} {
		if err := again.ReadLine(t.Context(), "bravo.example", func(l store.LineReader) error {
			text, chain, err := l.Proof(want.d, want.id)
			same(t, "proof of "+want.id, string(text), want.text)
			same(t, "chain of "+want.id, string(chain), want.chain)
			return err
		}); err != nil {
			t.Errorf("proof of %s: %v", want.id, err)
		}
		m, err := again.GetMessage(t.Context(), want.d, "bravo.example", want.id)
		if err != nil || len(m.Receipt) == 0 || !m.ReceiptAt.Equal(epoch) {
			t.Errorf("message %s has the receipt %q of %v, %v", want.id, m.Receipt, m.ReceiptAt, err)
		}
	}
	mustRead(t, e, func(l store.LineReader) error {
		if _, _, err := l.Proof(store.Out, "absent"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("proof of what is not here: %v", err)
		}
		return nil
	})
}
