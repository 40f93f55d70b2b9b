// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/store"
)

func movesProgress(t *testing.T, e env) {
	set := func(p store.Progress) { must(t, e.SetProgress(t.Context(), "f", "bravo", p, nil)) }
	first := store.Progress{SentTo: 20, SentAt: epoch, ReceivedTo: 10, ReceivedAt: epoch, Receipt: []byte("signed")}
	set(first)
	same(t, "first", mustProgress(t, e), first)
	set(store.Progress{SentTo: 19, SentAt: epoch.Add(time.Hour), ReceivedTo: 10, ReceivedAt: epoch.Add(time.Hour)})
	set(store.Progress{})
	same(t, "nothing later", mustProgress(t, e), first)
	later := store.Progress{SentTo: 21, SentAt: epoch.Add(time.Hour), ReceivedTo: 21, ReceivedAt: epoch.Add(2 * time.Hour)}
	set(later)
	later.Receipt = first.Receipt
	same(t, "later", mustProgress(t, e.reopen(t, Options{})), later)
	set(store.Progress{Receipt: []byte("newer")})
	same(t, "receipt", mustProgress(t, e).Receipt, []byte("newer"))
	if err := e.SetProgress(t.Context(), "f", "bravo", store.Progress{Receipt: bytes.Repeat([]byte("x"), store.MaxReceipt+1)}, nil); err == nil {
		t.Error("a receipt without bounds was accepted")
	}
}

func ignoresOldReceipts(t *testing.T, e env) {
	refusal := []store.Refusal{{ID: object(0).ID, Version: epoch, Reason: "Forked", At: epoch}}
	now := store.Progress{ReceivedTo: 20, ReceivedAt: epoch, Receipt: []byte("second"), ReceiptAt: epoch.Add(time.Minute)}
	must(t, e.SetProgress(t.Context(), "f", "bravo", now, nil))
	old := store.Progress{SentTo: 90, SentAt: epoch, ReceivedTo: 90, ReceivedAt: epoch, Receipt: []byte("first"), ReceiptAt: epoch}
	must(t, e.SetProgress(t.Context(), "f", "bravo", old, refusal))
	same(t, "after the old one", mustProgress(t, e.reopen(t, Options{})), now)
	if n, err := e.CountRefusals(t.Context(), "f", "bravo"); n != 0 || err != nil {
		t.Errorf("%d refusals of an old receipt are kept, %v", n, err)
	}
	newer := store.Progress{ReceivedTo: 10, Receipt: []byte("third"), ReceiptAt: epoch.Add(time.Hour)}
	must(t, e.SetProgress(t.Context(), "f", "bravo", newer, refusal))
	now.Receipt, now.ReceiptAt = newer.Receipt, newer.ReceiptAt
	same(t, "after a newer one for less", mustProgress(t, e), now)
	if n, err := e.CountRefusals(t.Context(), "f", "bravo"); n != 1 || err != nil {
		t.Errorf("%d refusals of a newer receipt are kept, %v", n, err)
	}
}

func keepsRefusals(t *testing.T, e env) {
	put := func(refused ...store.Refusal) {
		must(t, e.SetProgress(t.Context(), "f", "bravo", store.Progress{}, refused))
	}
	first := store.Refusal{ID: object(0).ID, Version: epoch, Reason: "Forked", At: epoch}
	other := store.Refusal{ID: object(0).ID, Reason: "NotValid", At: epoch}
	put(first, other)
	first.Reason, first.At = "Quarantined", epoch.Add(time.Second)
	put(first)
	list := func(id string) []store.Refusal {
		found, err := e.Refusals(t.Context(), "f", "bravo", id, 10)
		must(t, err)
		return found
	}
	same(t, "of the object", list(object(0).ID), []store.Refusal{other, first})
	same(t, "of another", list(object(1).ID), []store.Refusal(nil))
	many := make([]store.Refusal, store.MaxRefusals)
	for i := range many {
		many[i] = store.Refusal{ID: fmt.Sprintf("indicator--%d", i), Reason: "Forked", At: epoch.Add(time.Hour + time.Duration(i)*time.Microsecond)}
	}
	put(many[:store.MaxRefusals-1]...)
	put(many[store.MaxRefusals-1])
	n, err := e.CountRefusals(t.Context(), "f", "bravo")
	if err != nil || n != store.MaxRefusals || len(list(object(0).ID)) != 0 || len(list(many[0].ID)) != 1 {
		t.Errorf("%d refusals are kept, %v", n, err)
	}
}
