// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/certlink/certlink/relay/store"
)

// benchLine does what a batch of the hotline does to the store of either side.
type benchLine struct {
	b    testing.TB
	s    *Store
	ids  []string
	size int64
	// serial of the last received message.
	serial int64
}

// BenchmarkLine tells what a message costs in transactions of one and of many: processor time,
// and bytes written, to the log and from there to the database.
func BenchmarkLine(b *testing.B) {
	for name, step := range map[string]func(*benchLine, int) error{
		"enqueue": (*benchLine).enqueue, "accept": (*benchLine).accept, "receipts": (*benchLine).receipts,
	} {
		for _, batch := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/%d", name, batch), func(b *testing.B) {
				l := &benchLine{b: b, s: openBench(b)}
				messages := 0
				// Until the tables have a usual depth.
				for range 100 {
					if err := step(l, 64); err != nil {
						b.Fatal(err)
					}
				}
				var used time.Duration
				var wrote, elapsed int64
				for b.Loop() {
					if name == "receipts" && len(l.ids) < batch {
						b.StopTimer()
						if err := l.enqueue(batch); err != nil {
							b.Fatal(err)
						}
						b.StartTimer()
					}
					begun, cpu, bytes := time.Now(), processorTime(b), bytesWritten(b)
					if err := step(l, batch); err != nil {
						b.Fatal(err)
					}
					used, wrote, elapsed = used+processorTime(b)-cpu, wrote+bytesWritten(b)-bytes, elapsed+time.Since(begun).Nanoseconds()
					messages += batch
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(float64(elapsed)/1000/float64(messages), "us/message")
				b.ReportMetric(float64(used.Nanoseconds())/1000/float64(messages), "cpu-us/message")
				b.ReportMetric(float64(wrote)/float64(messages), "B/message")
			})
		}
	}
}

// bytesWritten is what this process has written so far, in bytes.
func bytesWritten(b *testing.B) int64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Fatal(err)
	}
	var n int64
	_, line, _ := bytes.Cut(text, []byte("wchar: "))
	if _, err := fmt.Sscan(string(line), &n); err != nil {
		b.Fatal(err)
	}
	return n
}

func (l *benchLine) id() string { return ulid.Make().String() }

// payload is 1 KiB.
func payload(id string) []byte {
	return append([]byte(`{"id":"`+id+`","text":"`), bytes.Repeat([]byte("x"), 990)...)
}

func (l *benchLine) message(id string) store.Message {
	return store.Message{ID: id, Conversation: id, Kind: "NOTIFICATION", Precedence: "ROUTINE", Payload: payload(id), CreatedAt: time.Unix(1, 0)}
}

func (l *benchLine) enqueue(n int) error {
	return l.s.ChangeLine(l.b.Context(), "bravo.example", func(tx store.LineTx) error {
		newest, hashes, err := tx.Journal()
		if err != nil {
			return err
		}
		var entries []store.JournalEntry
		for i := range n {
			m, err := tx.Enqueue(func(int64) (store.Message, error) {
				m := l.message(l.id())
				m.Entry = newest.Size + int64(i) + 1
				return m, nil
			})
			if err != nil {
				return err
			}
			l.ids = append(l.ids, m.ID)
			entries = append(entries, store.JournalEntry{Kind: "message/1", Message: m.ID})
		}
		return tx.Append(grown(newest, hashes, entries))
	})
}

func (l *benchLine) accept(n int) error {
	of := evidenceOf(l.size+int64(n), n)
	return l.s.ChangeLine(l.b.Context(), "bravo.example", func(tx store.LineTx) error {
		newest, hashes, err := tx.Journal()
		if err != nil {
			return err
		}
		if err := l.keep(tx, n); err != nil {
			return err
		}
		var entries []store.JournalEntry
		for i := range n {
			l.serial++
			m := l.message(l.id())
			m.Serial, m.Entry, m.Receipt, m.ReceiptAt = l.serial, newest.Size+int64(i)+1, receiptOf(m.ID), time.Now()
			m.Proof = proofOf(of, i)
			if _, _, err := tx.Accept(m); err != nil {
				return err
			}
			entries = append(entries, store.JournalEntry{Kind: "receipt/1", Message: m.ID})
		}
		return tx.Append(grown(newest, hashes, entries))
	})
}

func (l *benchLine) receipts(n int) error {
	for len(l.ids) < n {
		if err := l.enqueue(n); err != nil {
			return err
		}
	}
	ids := l.ids[:n]
	l.ids = l.ids[n:]
	of := evidenceOf(l.size+int64(n), n)
	return l.s.ChangeLine(l.b.Context(), "bravo.example", func(tx store.LineTx) error {
		if err := l.keep(tx, n); err != nil {
			return err
		}
		list := make([]store.Receipt, n)
		for i, id := range ids {
			list[i] = store.Receipt{ID: id, Body: receiptOf(id), Proof: proofOf(of, i), At: time.Now()}
		}
		return tx.PutReceipts(list...)
	})
}

// keep keeps a checkpoint of the peer's journal, as each batch and each answer does.
func (l *benchLine) keep(tx store.LineTx, n int) error {
	if _, err := tx.PeerCheckpoint(); l.size > 0 && err != nil {
		return err
	}
	l.size += int64(n)
	return tx.KeepPeerCheckpoint(store.Checkpoint{Size: l.size, Signed: signed(l.size), Chain: chain})
}

var chain = bytes.Repeat([]byte("certificate."), 100)

func signed(size int64) []byte {
	return fmt.Appendf(nil, "alfa.example/certlink/hotline/bravo.example\n%d\n%0*d\n", size, 200, size)
}

func receiptOf(id string) []byte {
	return fmt.Appendf(nil, `{"message_id":%q,"text":%q}`, id, make([]byte, 40))
}

// evidenceOf and proofOf have the size of proofs in a log of 100,000 entries; the evidence is under the checkpoint of so many that
// comes with it.
func evidenceOf(size int64, n int) *store.Evidence {
	return &store.Evidence{Checkpoint: signed(size), Chain: chain, Hashes: make([]byte, 32*(2*n+16))}
}

func proofOf(of *store.Evidence, i int) store.Proof {
	p := store.Proof{Of: of, Index: int64(i), Path: make([]uint16, 17)}
	return p
}

// grown is a batch with two hashes for each entry, as many as a long log gets.
func grown(newest store.Checkpoint, hashes int64, entries []store.JournalEntry) store.JournalBatch {
	n := int64(len(entries))
	b := store.JournalBatch{First: newest.Size, Entries: entries, FirstHash: hashes, Hashes: make([]store.Hash, 2*n)}
	for i := range b.Hashes {
		binary.LittleEndian.PutUint64(b.Hashes[i][:], uint64(hashes)+uint64(i))
	}
	b.Checkpoint = store.Checkpoint{Size: newest.Size + n, Signed: signed(newest.Size + n), Chain: chain}
	return b
}
