// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"testing"

	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/store"
)

// shown is a checkpoint of the peer under which it has proven something.
func shown(size int64) store.Checkpoint {
	return store.Checkpoint{Size: size, Root: hash(int(size)), Signed: []byte(checkpoint), Chain: []byte("one")}
}

func acceptsProven(l store.LineTx, id string, serial int64, p store.Proof) error {
	m := message(id)
	m.Serial, m.Receipt, m.ReceiptAt, m.Proof = serial, []byte("ours"), epoch, p
	_, _, err := l.Accept(m)
	return err
}

func receiptProven(id string, p store.Proof) store.Receipt {
	return store.Receipt{ID: id, Body: []byte("theirs"), At: epoch, Proof: p}
}

// wantKept checks the checkpoints that are kept, by their sizes; more may be.
func wantKept(t *testing.T, l store.LineReader, sizes ...int64) error {
	t.Helper()
	list, err := l.PeerCheckpoints(sizes[0], store.MaxMessages)
	var got []int64
	for _, c := range list {
		want := shown(c.Size)
		got = append(got, c.Size)
		same(t, "root and signature", []string{string(c.Root[:]), string(c.Signed)}, []string{string(want.Root[:]), checkpoint})
	}
	same(t, "sizes of checkpoints", got, sizes)
	return err
}

// keepsWhatCheckpointsProve stores checkpoints together with what came with them, and without, in every order.
func keepsWhatCheckpointsProve(t *testing.T, e env) {
	for _, id := range []string{"a", "b", "c", "d"} {
		mustEnqueue(t, e, message(id))
	}
	one, less, two, next := evidence("one"), evidence("one"), evidence("two"), evidence("one")
	less.Hashes = less.Hashes[len(store.Hash{}):]
	mustChange(t, e, func(l store.LineTx) error {
		return errors.Join(l.KeepPeerCheckpoint(shown(9)),
			acceptsProven(l, "x", 1, one.proof(70000, 0, 2)), acceptsProven(l, "y", 2, less.proof(4, 0)), acceptsProven(l, "z", 3, two.proof(5, 1)),
			l.PutReceipts(receiptProven("a", one.proof(6, 1)), receiptProven("b", less.proof(7, 1))))
	})
	mustChange(t, e, func(l store.LineTx) error {
		if err := l.KeepPeerCheckpoint(shown(10)); err != nil {
			return err
		}
		newest, err := l.PeerCheckpoint()
		same(t, "newest, in the change", newest.Size, int64(10))
		return errors.Join(err, wantKept(t, l, 9, 10), l.PutReceipts(receiptProven("c", next.proof(8, 2))),
			l.KeepPeerCheckpoint(shown(11)), l.PutReceipts(receiptProven("d", next.proof(9, 0))), l.KeepPeerCheckpoint(shown(12)))
	})
	// What is here already proves nothing more.
	mustChange(t, e, func(l store.LineTx) error {
		return errors.Join(l.KeepPeerCheckpoint(shown(13)), acceptsProven(l, "x", 1, evidence("one").proof(1, 1)), l.KeepPeerCheckpoint(shown(14)),
			l.PutReceipts(receiptProven("a", evidence("one").proof(1, 1))))
	})
	other := shown(10)
	other.Root = hash(77)
	wantErr(t, e.ChangeLine(t.Context(), "bravo.example", func(l store.LineTx) error { return l.KeepPeerCheckpoint(other) }), store.ErrConflict)
	wantProven(t, e)
	mustRead(t, e.reopen(t, Options{}), func(l store.LineReader) error { return wantKept(t, l, 9, 10, 11, 12, 13, 14) })
	for size := int64(15); size < 95; size++ {
		mustChange(t, e, func(l store.LineTx) error { return l.KeepPeerCheckpoint(shown(size)) })
	}
	wantProven(t, e)
}

// keepsTheLargestCheckpoint: a peer may sign any size that package journal reads, whatever it holds.
func keepsTheLargestCheckpoint(t *testing.T, e env) {
	mustChange(t, e, func(l store.LineTx) error {
		return errors.Join(l.KeepPeerCheckpoint(shown(9)), l.KeepPeerCheckpoint(shown(journal.MaxSize)))
	})
	mustRead(t, e, func(l store.LineReader) error { return wantKept(t, l, 9, journal.MaxSize) })
	// Nor does it stand in the way of the next era.
	mustChange(t, e, func(l store.LineTx) error { return l.BreakPeerJournal(store.Break{Size: 1}, shown(0)) })
	mustRead(t, e, func(l store.LineReader) error { return wantKept(t, l, 0) })
}

func wantProven(t *testing.T, e env) {
	t.Helper()
	shifted := func(index int64, path ...int) string { // less has the hashes from the second on
		for i := range path {
			path[i]++
		}
		return proven(index, path...)
	}
	wantProof(t, e, store.In, "x", proven(70000, 0, 2), "one")
	wantProof(t, e, store.In, "y", shifted(4, 0), "one")
	wantProof(t, e, store.In, "z", proven(5, 1), "two")
	wantProof(t, e, store.Out, "a", proven(6, 1), "one")
	wantProof(t, e, store.Out, "b", shifted(7, 1), "one")
	wantProof(t, e, store.Out, "c", proven(8, 2), "one")
	wantProof(t, e, store.Out, "d", proven(9, 0), "one")
}
