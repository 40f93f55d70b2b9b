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

var lineTests = map[string]func(t *testing.T, e env){
	"tells_when_it_is_written":                           toldWhenWritten,
	"keeps_a_journal_across_a_reopen":                    keepsJournal,
	"appends_only_what_continues_the_journal":            continuesJournal,
	"does_all_of_a_change_or_nothing":                    allOrNothing,
	"goes_on_after_a_conflict_of_one_message":            conflictInBatch,
	"gives_the_payload_of_a_message_as_it_is_stored":     entryOfMessage,
	"keeps_the_first_checkpoint_of_a_peer_for_each_size": peerCheckpoints,
	"keeps_what_a_peer_holds_of_our_journal":             peerHeld,
	"has_a_journal_of_its_own_for_each_peer":             journalForEachPeer,
	"shows_one_unchanging_state_of_a_line":               unchangingLine,
	"goes_on_after_what_panics":                          outlivesPanics,
	"keeps_how_far_a_recovery_has_come":                  keepsRecovery,
	"notes_the_places_of_messages_in_our_journal":        notesPlaces,
	"keeps_the_newest_checkpoints_of_a_peer":             prunesPeerCheckpoints,
	"shows_which_serials_are_taken_by_what":              showsPlaces,
	"shows_in_a_change_what_it_has_queued":               showsItsQueue,
	"hurries_a_conversation_after_what_is_rare":          hurriesAfterARestore,
	"restores_and_renumbers_messages":                    restores,
	"shares_what_the_proofs_of_a_batch_have_in_common":   sharesEvidence,
	"keeps_checkpoints_with_what_they_prove":             keepsWhatCheckpointsProve,
	"keeps_a_checkpoint_of_the_largest_size":             keepsTheLargestCheckpoint,
	"puts_what_comes_back_in_its_place":                  replaces,
	"keeps_what_speaks_against_a_peers_journal":          keepsDoubts,
	"begins_another_era_of_a_peers_journal":              breaksPeerJournal,
	"knows_below_which_serial_nothing_is_missing":        whole,
}

func hash(n int) store.Hash {
	var h store.Hash
	copy(h[:], fmt.Sprintf("hash %d", n))
	return h
}

// batch is one of so many entries with bodies of their own, one hash each.
func batch(first int64, n int) store.JournalBatch {
	b := store.JournalBatch{First: first, FirstHash: first}
	for i := range n {
		at := int(first) + i
		b.Entries = append(b.Entries, store.JournalEntry{Kind: "act/1", Body: fmt.Appendf(nil, "entry %d", at)})
		b.Hashes = append(b.Hashes, hash(at))
	}
	size := first + int64(n)
	b.Checkpoint = store.Checkpoint{Size: size, Root: hash(-int(size)), Signed: fmt.Appendf(nil, "signed %d", size), Chain: []byte("chain")}
	return b
}

func mustChange(t *testing.T, s store.Store, change func(l store.LineTx) error) {
	t.Helper()
	if err := s.ChangeLine(t.Context(), "bravo.example", change); err != nil {
		t.Fatal(err)
	}
}

func mustRead(t *testing.T, s store.Store, read func(l store.LineReader) error) {
	t.Helper()
	if err := s.ReadLine(t.Context(), "bravo.example", read); err != nil {
		t.Fatal(err)
	}
}

func keepsJournal(t *testing.T, e env) {
	mustRead(t, e, func(l store.LineReader) error {
		newest, hashes, err := l.Journal()
		same(t, "the empty journal", newest, store.Checkpoint{})
		same(t, "hashes of the empty journal", hashes, int64(0))
		return err
	})
	want := []store.JournalBatch{batch(0, 3), batch(3, 1), batch(4, 5)}
	for i := range want {
		mustChange(t, e, func(l store.LineTx) error { return l.Append(want[i]) })
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	s := e.reopen(t, Options{})
	mustRead(t, s, func(l store.LineReader) error {
		newest, hashes, err := l.Journal()
		if err != nil {
			return err
		}
		if newest.At.IsZero() {
			t.Error("the newest checkpoint has no time")
		}
		newest.At = time.Time{}
		same(t, "newest checkpoint", newest, want[2].Checkpoint)
		same(t, "hashes", hashes, int64(9))
		for from, n := range map[int64]int{0: 3, 1: 3, 2: 3, 3: 2, 4: 1, 8: 1, 9: 0, 99: 0} {
			got, err := l.JournalBatches(from, 10)
			if err != nil {
				return err
			}
			for i := range got {
				got[i].Checkpoint.At = time.Time{}
			}
			same(t, fmt.Sprint("batches from ", from), got, append([]store.JournalBatch(nil), want[3-n:]...))
		}
		got, err := l.JournalBatches(0, 1)
		same(t, "batches, at most one", len(got), 1)
		if err != nil {
			return err
		}
		read, err := l.JournalHashes([]int64{8, 0, 3, 4, 2})
		same(t, "hashes", read, []store.Hash{hash(8), hash(0), hash(3), hash(4), hash(2)})
		if err != nil {
			return err
		}
		for _, index := range []int64{9, -1} {
			_, err = l.JournalHashes([]int64{index})
			wantErr(t, err, store.ErrNotFound)
		}
		return nil
	})
}

func continuesJournal(t *testing.T, e env) {
	mustChange(t, e, func(l store.LineTx) error { return l.Append(batch(0, 3)) })
	for name, b := range map[string]store.JournalBatch{
		"the same again": batch(0, 3), "with a gap": batch(4, 1), "from the middle": batch(2, 2),
	} {
		err := e.ChangeLine(t.Context(), "bravo.example", func(l store.LineTx) error { return l.Append(b) })
		if !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(b *store.JournalBatch){
		"no entries":                 func(b *store.JournalBatch) { b.Entries, b.Checkpoint.Size = nil, 3 },
		"no checkpoint":              func(b *store.JournalBatch) { b.Checkpoint.Signed = nil },
		"a checkpoint of other size": func(b *store.JournalBatch) { b.Checkpoint.Size++ },
		"fewer hashes than entries":  func(b *store.JournalBatch) { b.Hashes = b.Hashes[:1] },
		"more than two for each":     func(b *store.JournalBatch) { b.Hashes = make([]store.Hash, 8) },
		"an entry that is too large": func(b *store.JournalBatch) { b.Entries[0].Body = make([]byte, store.MaxJournalBody+1) },
	} {
		b := batch(3, 2)
		change(&b)
		if err := e.ChangeLine(t.Context(), "bravo.example", func(l store.LineTx) error { return l.Append(b) }); err == nil {
			t.Errorf("%s: it was appended", name)
		}
	}
	mustChange(t, e, func(l store.LineTx) error { return l.Append(batch(3, 2)) })
}

func allOrNothing(t *testing.T, e env) {
	no := errors.New("no")
	err := e.ChangeLine(t.Context(), "bravo.example", func(l store.LineTx) error {
		if _, err := l.Enqueue(func(int64) (store.Message, error) { return message("m"), nil }); err != nil {
			return err
		}
		return errors.Join(l.Append(batch(0, 1)), l.KeepPeerCheckpoint(batch(0, 7).Checkpoint), no)
	})
	wantErr(t, err, no)
	same(t, "queued", mustCountMessages(t, e).Queued, int64(0))
	mustRead(t, e, func(l store.LineReader) error {
		newest, _, err := l.Journal()
		same(t, "entries", newest.Size, int64(0))
		_, none := l.PeerCheckpoint()
		wantErr(t, none, store.ErrNotFound)
		return err
	})
	same(t, "serial after a failure", mustEnqueue(t, e, message("m")).Serial, int64(1))
}

func conflictInBatch(t *testing.T, e env) {
	mustEnqueue(t, e, message("m1"))
	mustAccept(t, e, received("in1", 1))
	mustChange(t, e, func(l store.LineTx) error {
		_, err := l.Enqueue(func(int64) (store.Message, error) { return message("m1"), nil })
		wantErr(t, err, store.ErrConflict)
		stray := message("ack")
		stray.Kind, stray.InReplyTo = "ACK", "nothing"
		_, err = l.Enqueue(func(int64) (store.Message, error) { return stray, nil })
		wantErr(t, err, store.ErrNotFound)
		second, err := l.Enqueue(func(int64) (store.Message, error) { return message("m2"), nil })
		same(t, "serial after conflicts", second.Serial, int64(2))
		if err != nil {
			return err
		}
		third, err := l.Enqueue(func(int64) (store.Message, error) { return message("m3"), nil })
		same(t, "next serial of the same change", third.Serial, int64(3))
		if err != nil {
			return err
		}
		other := received("in1", 1)
		other.Payload = []byte("other")
		_, _, err = l.Accept(other)
		wantErr(t, err, store.ErrConflict)
		_, duplicate, err := l.Accept(received("in1", 1))
		same(t, "duplicate", duplicate, true)
		if err != nil {
			return err
		}
		_, duplicate, err = l.Accept(received("in2", 2))
		same(t, "duplicate", duplicate, false)
		return errors.Join(err, l.PutReceipts(store.Receipt{ID: "m2", Body: []byte("receipt"), At: epoch}))
	})
	same(t, "pending", pendingIDs(t, e, 10), []string{"m1", "m3"})
	same(t, "receipt", mustGet(t, e, store.Out, "m2").Receipt, []byte("receipt"))
	mustGet(t, e, store.In, "in2")
}

func entryOfMessage(t *testing.T, e env) {
	b := batch(0, 2)
	mustChange(t, e, func(l store.LineTx) error {
		m, err := l.Enqueue(func(int64) (store.Message, error) { return message("m"), nil })
		b.Entries[1] = store.JournalEntry{Kind: "message/1", Message: m.ID, Body: m.Payload}
		return errors.Join(err, l.Append(b))
	})
	want := mustGet(t, e, store.Out, "m").Payload
	mustRead(t, e, func(l store.LineReader) error {
		got, err := l.JournalBatches(0, 1)
		if err == nil {
			same(t, "entry of a message", got[0].Entries[1], store.JournalEntry{Kind: "message/1", Message: "m", Body: want})
			same(t, "other entry", got[0].Entries[0], b.Entries[0])
		}
		return err
	})
}

func peerCheckpoints(t *testing.T, e env) {
	for _, n := range []int{7, 3, 7, 12} {
		mustChange(t, e, func(l store.LineTx) error { return l.KeepPeerCheckpoint(batch(0, n).Checkpoint) })
	}
	other := batch(0, 7).Checkpoint
	other.Root = hash(77)
	wantErr(t, e.ChangeLine(t.Context(), "bravo.example", func(l store.LineTx) error { return l.KeepPeerCheckpoint(other) }), store.ErrConflict)
	mustRead(t, e, func(l store.LineReader) error {
		largest, err := l.PeerCheckpoint()
		same(t, "largest", largest.Size, int64(12))
		if err != nil {
			return err
		}
		for from, want := range map[int64][]int64{0: {3, 7, 12}, 4: {7, 12}, 7: {7, 12}, 13: nil} {
			list, err := l.PeerCheckpoints(from, 10)
			if err != nil {
				return err
			}
			var got []int64
			for _, c := range list {
				got = append(got, c.Size)
				c.At = time.Time{}
				same(t, "checkpoint", c, batch(0, int(c.Size)).Checkpoint)
			}
			same(t, fmt.Sprint("sizes from ", from), got, want)
		}
		return nil
	})
}

func peerHeld(t *testing.T, e env) {
	for _, want := range []int64{0, 7, 12, 3} {
		if want > 0 {
			mustChange(t, e, func(l store.LineTx) error { return l.NotePeerHeld(want) })
		}
		mustRead(t, e, func(l store.LineReader) error {
			got, err := l.PeerHeld()
			same(t, "held by the peer", got, want)
			return err
		})
	}
	err := e.ReadLine(t.Context(), "charlie.example", func(l store.LineReader) error {
		got, err := l.PeerHeld()
		same(t, "held by another", got, int64(0))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func journalForEachPeer(t *testing.T, e env) {
	mustChange(t, e, func(l store.LineTx) error { return l.Append(batch(0, 3)) })
	if err := e.ChangeLine(t.Context(), "charlie.example", func(l store.LineTx) error { return l.Append(batch(0, 2)) }); err != nil {
		t.Fatal(err)
	}
	err := e.ReadLine(t.Context(), "charlie.example", func(l store.LineReader) error {
		newest, _, err := l.Journal()
		same(t, "entries", newest.Size, int64(2))
		_, none := l.JournalHashes([]int64{2})
		wantErr(t, none, store.ErrNotFound)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func unchangingLine(t *testing.T, e env) {
	mustChange(t, e, func(l store.LineTx) error { return l.Append(batch(0, 1)) })
	mustRead(t, e, func(l store.LineReader) error {
		if _, _, err := l.Journal(); err != nil {
			return err
		}
		mustChange(t, e, func(l store.LineTx) error { return l.Append(batch(1, 1)) })
		newest, _, err := l.Journal()
		same(t, "entries while another was appended", newest.Size, int64(1))
		return err
	})
}
