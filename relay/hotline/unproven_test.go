// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"testing"
	"time"

	"github.com/certlink/certlink/relay/hotline/wire"
	"github.com/certlink/certlink/relay/journal"
)

// A receipt that reads right and is no entry of the peer's journal could be disowned by it: it ends nothing.
func TestAReceiptThatIsNotInThePeersJournal(t *testing.T) {
	bubble(t, "settles_nothing", func(t *testing.T, w *world) {
		w.faults(cut)
		w.bravo.send(request(firstID, "s"))
		l := w.bravo.engine().lineTo("alfa.example")
		pending, err := w.bravo.life().store.Pending(t.Context(), "alfa.example", 1)
		if err != nil || len(pending) != 1 {
			t.Fatal(len(pending), err)
		}
		p, err := decodeStored(pending[0].Payload)
		if err != nil {
			t.Fatal(err)
		}
		r := receiptFor(&p, pending[0].Payload, time.Now())
		right := encodeReceipt(&r)
		for name, said := range map[string][]byte{"": right, "though another one is": []byte(`{"version":1}`)} {
			f := w.forges()
			b, err := wire.Decode(f.batch(t, 0, f.say(t, journal.Receipt, said)))
			if err != nil {
				t.Fatal(err)
			}
			b.Entries[0].Body = right
			raw, err := b.Encode()
			if err != nil {
				t.Fatal(err)
			}
			o, err := l.openAnswer(l.engine.cfg.Identity(), raw)
			if err != nil {
				t.Fatal(err)
			}
			failed := map[string]error{}
			receipts := l.verifyReceipts(l.engine.cfg.Identity(), o, pending, failed)
			if want := name == ""; (len(receipts) == 1) != want || (failed[firstID] == nil) != want {
				t.Errorf("a receipt that is not in the journal, %s: %d receipts, %v", name, len(receipts), failed)
			}
		}
	})
}
