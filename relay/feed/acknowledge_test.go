// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/receipt"
)

// TestAnOlderReceiptThatComesAgainSaysNothing: its refusals are long over, and it covers less.
func TestAnOlderReceiptThatComesAgainSaysNothing(t *testing.T) {
	alfa, bravo, identities := signed(t)
	push(t, alfa, "own", envelope(indicator(1, greenID)))
	eventually(t, "the receipt is there", func() bool { return whyOf(t, alfa, indicator(1)).Delivery != "" })
	id := alfa.live.Load().exports[0].collection.ID
	send := func(a acknowledgement) []byte {
		t.Helper()
		payload, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := receipt.Sign(identities[bravoTD](), receiptType, payload)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+alfaTD+"/taxii2/feeds/collections/"+id+"/receipts/", bytes.NewReader(jws))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := bravo.cfg.Client(alfaTD).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusNoContent {
			t.Fatalf("answer %d, %v", answer.StatusCode, err)
		}
		return jws
	}
	position := stixTime(time.Now())
	last := send(acknowledgement{Collection: id, Position: position, Received: 1, At: time.Now().Add(time.Minute)})
	for range 2 {
		send(acknowledgement{Collection: id, Position: position, Received: 1, At: time.Now(), Refused: []refusedObject{{ID: indicatorID(1), Reason: "Forked"}}})
	}
	p, err := alfa.store.Progress(t.Context(), "threats", bravoTD)
	if err != nil || !bytes.Equal(p.Receipt, last) {
		t.Errorf("another receipt than the newest is kept, %v", err)
	}
	if n, err := alfa.store.CountRefusals(t.Context(), "threats", bravoTD); n != 0 || err != nil {
		t.Errorf("%d refusals of an old receipt count, %v", n, err)
	}
}
