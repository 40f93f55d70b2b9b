// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/journal"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
)

func (n *nation) moved(messages, bytes int) {
	n.moves.Add(1)
	n.mostMoved.Store(max(n.mostMoved.Load(), int64(messages)))
	n.mostBytes.Store(max(n.mostBytes.Load(), int64(bytes)))
}

func (n *nation) looked(places int) {
	n.mostLooked.Store(max(n.mostLooked.Load(), int64(places)))
}

// fill queues messages of four conversations, numbered from first on, many in a transaction.
func (n *nation) fill(first, count int) {
	n.t.Helper()
	l := n.engine().lineTo(map[string]string{"alfa": "bravo.example", "bravo": "alfa.example"}[n.name])
	for i := first; i < first+count; {
		err := l.changeAll(context.Background(), func(tx store.LineTx) (entries []store.JournalEntry, err error) {
			for end := min(i+maxBatch, first+count); i < end; i++ {
				p := payload(n.trustDomain, l.trustDomain)
				p.ID, p.Conversation, p.Subject = ulid.Make().String(), fmt.Sprint("talk-", i%4), fmt.Sprintf("%05d", i)
				p.Precedence = message.Precedences[i%len(message.Precedences)]
				m, err := tx.Enqueue(composed(&p))
				if err != nil {
					return nil, err
				}
				entries = append(entries, store.JournalEntry{Kind: string(journal.Message), Message: m.ID, Body: m.Payload})
			}
			return entries, nil
		})
		if err != nil {
			n.t.Fatal(err)
		}
	}
}

// placed are all messages of a nation's own, by serial.
func (n *nation) placed() (list []store.Placed) {
	n.t.Helper()
	err := n.life().store.ReadLine(context.Background(), map[string]string{"alfa": "bravo.example", "bravo": "alfa.example"}[n.name],
		func(r store.LineReader) error {
			for from := int64(0); ; from = list[len(list)-1].Serial {
				page, err := r.PlacedAfter(from, store.MaxMessages)
				if err != nil || len(page) == 0 {
					return err
				}
				list = append(list, page...)
			}
		})
	if err != nil {
		n.t.Fatal(err)
	}
	return list
}

// takes lets a recovery take so many messages at once, fewer than usual: every edge is between two
// pages, or at the end of one, whatever it holds. It comes before anything is sent.
func (w *world) takes(p pages) {
	for _, n := range []*nation{w.alfa, w.bravo} {
		n.pages, n.engine().pages = p, p
	}
}

// setBack sends messages that alfa then has lost, and queues others that bravo has not seen.
func (w *world) setBack(lost, queued int) {
	w.alfa.send(inTalk("", "talk-0", "ROUTINE", "00000"))
	w.pass(1)
	restore := w.alfa.backup()
	w.alfa.fill(1, lost)
	w.alfa.send(inTalk(ulidFor(0, 1), "repeated", "ROUTINE", "00001"))
	w.pass(1)
	restore()
	w.faults(cut)
	w.alfa.start()
	w.alfa.fill(lost+1, queued/2)
	<-time.After(time.Second)
	w.alfa.send(inTalk(ulidFor(0, 1), "repeated", "ROUTINE", "00002")) // another message under that id
	w.alfa.fill(lost+queued/2+1, queued-queued/2)
}

// dieAfter lets alfa die when its commit of this number is made, from now on.
func (w *world) dieAfter(commits int64) *atomic.Bool {
	return w.arm(crash{step{"alfa", "commit"}, "alfa", lies, commits})
}

// recovered fails unless both hold the same, in order and without gaps.
func (w *world) recovered(t *testing.T, messages int) {
	t.Helper()
	w.bravo.inOrder(w.alfa)
	if r := w.alfa.report(); r.Queued != 0 || r.Error != "" || r.Journal.State != report.JournalRolledBack {
		t.Errorf("alfa's report is %+v", r)
	}
	for i, p := range w.alfa.placed() {
		if p.Serial != int64(i+1) || p.Queued {
			t.Fatalf("message %d of alfa is %+v", i+1, p)
		}
	}
	if got := len(w.bravo.list(store.In)); got != messages {
		t.Errorf("bravo holds %d messages, want %d", got, messages)
	}
	if c, err := w.bravo.life().store.CountMessages(t.Context(), "alfa.example"); err != nil || c.Gaps != 0 {
		t.Errorf("%d serials are missing, %v", c.Gaps, err)
	}
	for _, n := range []*nation{w.alfa, w.bravo} {
		if c := n.verify(); c.State != desk.JournalWhole {
			t.Errorf("the journal of %s is %s: %v", n.name, c.State, c.Damage)
		}
	}
}

// images are the disks of both nations; setting one back writes them in place of what is there.
func (w *world) images() (restore func()) {
	list := map[*nation][]byte{}
	for _, n := range []*nation{w.alfa, w.bravo} {
		n.kill()
		list[n] = n.image()
	}
	return func() {
		for n, raw := range list {
			n.kill()
			n.imprint(raw)
			n.start()
		}
	}
}

// Every edge is struck, one after the other until there is none any more, each from the same two disks: that a
// recovery was begun, what comes back of theirs, pages that move up and down, what was written again, pages of
// ours, the note, and what is sent after it. What a transaction leaves is what the death before the next one finds.
func TestARecoveryThatIsKilledAfterEachOfItsTransactions(t *testing.T) {
	few := pages{copies: 3, moves: 2}
	for name, tt := range map[string]struct {
		lost, queued int
		edges        int64 // at least
		forked       bool  // bravo sees more entries than it holds before anybody knows
	}{
		"where_more_was_lost_than_waits":          {few.copies + 1, 2, 20, false},
		"where_more_waits_than_one_of_them_moves": {1, 2*few.moves + 1, 17, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // the race detector makes each edge take half a second
			testbubble.Run(t, func(t *testing.T) {
				w := newWorld(t)
				w.takes(few)
				w.setBack(tt.lost, tt.queued)
				if edges := w.strikeAll(t, tt.lost+tt.queued+3, tt.forked); edges < tt.edges {
					t.Errorf("only %d edges were struck", edges)
				}
			})
		})
	}
}

// strikeAll lets alfa die once after each transaction of its recovery, and goes on.
func (w *world) strikeAll(t *testing.T, messages int, forked bool) (edges int64) {
	again := w.images()
	for struck := true; struck && !t.Failed(); edges++ {
		again()
		crashed := w.dieAfter(edges)
		w.recovers()
		struck = crashed.Load()
		w.faults(nil)
		w.recovers()
		w.recovered(t, messages)
		for _, d := range w.bravo.doubts() {
			if d.Kind == store.DoubtForked && !forked {
				t.Error("bravo was shown another history before the recovery ended")
			}
		}
		if t.Failed() {
			t.Logf("that was after transaction %d", edges)
		}
	}
	return edges - 1
}

// recovers lets time pass until alfa's recovery has ended and nothing waits, or alfa died; five minutes at most.
func (w *world) recovers() {
	w.alfa.revive()
	w.bravo.revive()
	for range 5 * 60 {
		<-time.After(time.Second)
		l := w.alfa.life()
		if l.dead.Load() {
			return
		}
		if c, err := l.store.CountMessages(context.Background(), "bravo.example"); err == nil && c.Queued == 0 && !l.engine.lineTo("bravo.example").isLost() {
			return
		}
	}
}

func TestWhatHappensWhileSerialsAreGiven(t *testing.T) {
	counted := func(s step, _ int64) bool { return s == step{"alfa", "Placed"} }
	moved := func(s step, moves int64) bool { return s == step{"alfa", "commit"} && moves > 0 }
	for name, when := range map[string]func(s step, moves int64) bool{"while_they_are_counted": counted, "while_they_move": moved} {
		bubble(t, "a_receipt_that_comes_and_a_message_that_is_written_have_their_places_"+name, func(t *testing.T, w *world) {
			receiptAndMessageMeanwhile(t, w, when)
		})
	}
}

func receiptAndMessageMeanwhile(t *testing.T, w *world, when func(s step, moves int64) bool) {
	const lost, moves = 5, 16
	const queued = 2*moves + 12
	w.takes(pages{copies: copiesAtOnce, moves: moves})
	w.setBack(lost, queued)
	before := w.alfa.placed()
	early := before[lost+4] // behind what comes back, in the last page that moves up
	done := new(atomic.Bool)
	w.faults(func(s step) outcome {
		if !when(s, w.alfa.moves.Load()) || done.Swap(true) {
			return works
		}
		err := w.alfa.life().store.ChangeLine(context.Background(), "bravo.example", func(tx store.LineTx) error {
			return tx.PutReceipts(store.Receipt{ID: early.ID, Body: []byte("receipt"), At: time.Now()})
		})
		if err != nil {
			t.Error(err)
		}
		go func() { _ = w.trySend(inTalk("", "talk-1", "FLASH", "90000")) }()
		return works
	})
	<-time.After(time.Minute)
	after := w.alfa.placed()
	for i, p := range after {
		if p.Serial != int64(i+1) || p.ID == early.ID && p.Serial != early.Serial {
			t.Fatalf("message %d is %+v; the one with a receipt had serial %d", i+1, p, early.Serial)
		}
	}
	if len(after) != len(before)+lost+2 { // what was lost, and two that were written
		t.Errorf("alfa holds %d messages, and had %d", len(after), len(before))
	}
	if !done.Load() {
		t.Error("nothing happened meanwhile")
	}
}

func TestVeryManyQueuedMessagesMoveInBoundedTransactions(t *testing.T) {
	const lost, moves, queued = 5, 8, 400 // fifty pages
	bubble(t, "and_nothing_of_the_line_is_sent_meanwhile", func(t *testing.T, w *world) {
		w.takes(pages{copies: copiesAtOnce, moves: moves})
		w.setBack(lost, queued)
		var ahead, said atomic.Int64
		var most uint64
		text := func() string {
			l := w.alfa.life().engine.lineTo("bravo.example")
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.health.name(time.Now(), 0, "", nil, nil, nil).Message
		}
		w.faults(func(s step) outcome {
			if s == (step{"alfa", "commit"}) {
				var now runtime.MemStats
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapAlloc)
			}
			if strings.Contains(text(), "get serials behind") {
				said.Add(1)
				if s == (step{"bravo", "commit"}) {
					ahead.Add(1)
				}
			}
			return works
		})
		for begun := time.Now(); w.alfa.moves.Load() == 0 || strings.Contains(text(), "get serials behind"); <-time.After(time.Millisecond) {
			if time.Since(begun) > 10*time.Minute {
				t.Fatalf("after ten minutes %d transactions have moved messages", w.alfa.moves.Load())
			}
		}
		w.faults(cut)
		if got := w.alfa.mostMoved.Load(); got > moves || w.alfa.moves.Load() < queued/moves {
			t.Errorf("%d transactions moved messages, one of them %d", w.alfa.moves.Load(), got)
		}
		if got := w.alfa.mostLooked.Load(); got > moves || got == 0 {
			t.Errorf("one transaction looked at %d places, of %d queued messages", got, queued)
		}
		if ahead.Load() > 0 {
			t.Errorf("bravo stored something %d times before all was moved", ahead.Load())
		}
		list := w.alfa.placed()
		if len(list) != lost+queued+3 || list[len(list)-1].Serial > int64(len(list)+1) {
			t.Errorf("%d messages have serials up to %d", len(list), list[len(list)-1].Serial)
		}
		t.Logf("%d transactions, at most %d messages and %d bytes each; at most %d bytes of memory", w.alfa.moves.Load(), w.alfa.mostMoved.Load(), w.alfa.mostBytes.Load(), most)
		if said.Load() == 0 {
			t.Error("the report did not say how far it came")
		}
	})
}
