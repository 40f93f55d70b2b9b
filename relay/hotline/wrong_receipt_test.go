// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/store"
)

func TestWrongReceipt(t *testing.T) {
	for name, tt := range map[string]struct {
		become func(t *testing.T, w *world) // what bravo, or alfa's view of it, becomes
		says   string
	}{
		"of_a_certificate_that_bravos_CA_did_not_issue": {func(t *testing.T, w *world) {
			i := w.bravo.newIdentity(w.alfa.ca, w.bravo.ca)
			i.pair = testca.New(t, "bravo.example").Leaf(t, testca.Leaf{Path: "/signing"})
			w.bravo.become(i)
		}, "the peer's receipt is not signed by its own CA"},
		"of_the_relays_certificate": {func(t *testing.T, w *world) {
			i := w.bravo.newIdentity(w.alfa.ca, w.bravo.ca)
			i.pair = w.bravo.ca.Leaf(t, testca.Leaf{Path: "/relay", Algorithm: testca.Ed25519})
			w.bravo.become(i)
		}, "the peer's receipt is refused"},
		"of_another_nation_that_we_trust": {func(t *testing.T, w *world) {
			charlie := testca.New(t, "charlie.example")
			i := w.bravo.newIdentity(w.alfa.ca, w.bravo.ca)
			i.pair = charlie.Leaf(t, testca.Leaf{Path: "/signing"})
			w.bravo.become(i)
			w.alfa.become(w.alfa.newIdentity(w.alfa.ca, w.bravo.ca, charlie))
		}, `signed by "charlie.example", not by "bravo.example"`},
		"of_an_expired_certificate": {func(t *testing.T, w *world) {
			i := w.bravo.newIdentity(w.alfa.ca, w.bravo.ca)
			i.pair = w.bravo.ca.Leaf(t, testca.Leaf{Path: "/signing", NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
			w.bravo.become(i)
		}, "the peer's signing certificate, or the bundle that we hold for it, is outside its validity"},
	} {
		bubble(t, name, func(t *testing.T, w *world) {
			good, ours := w.bravo.who(), w.alfa.who()
			tt.become(t, w)
			w.alfa.send(request(firstID, "s"))
			<-time.After(time.Minute)
			if r := w.alfa.report(); r.Queued != 1 || !strings.Contains(r.Error, tt.says) {
				t.Errorf("report is %+v", r)
			}
			if m := w.alfa.list(store.Out)[0]; m.State != "Queued" {
				t.Errorf("state is %s", m.State)
			}
			if got := testutil.ToFloat64(w.alfa.engine().metrics.refused.WithLabelValues("to-bravo")); got < 2 {
				t.Errorf("%v refused receipts are counted", got)
			}
			w.bravo.become(good)
			w.alfa.become(ours)
			w.quiet()
			w.alfa.proven(w.bravo, 1)
		})
	}
}

func TestCompareReceipt(t *testing.T) {
	message := payload("alfa.example", "bravo.example")
	raw, err := encode(&message)
	if err != nil {
		t.Fatal(err)
	}
	good := receiptFor(&message, raw, time.Unix(1, 0).UTC())
	if written := encodeReceipt(&good); !bytes.Equal(written, mustJSON(t, good)) {
		t.Errorf("the receipt is written as %s, want %s", written, mustJSON(t, good))
	}
	for name, change := range map[string]func(*ReceiptPayload){
		"":              func(*ReceiptPayload) {},
		"version":       func(r *ReceiptPayload) { r.Version = 2 },
		"message":       func(r *ReceiptPayload) { r.MessageID = ulidFor(1, 1) },
		"serial":        func(r *ReceiptPayload) { r.Serial++ },
		"sender":        func(r *ReceiptPayload) { r.From = "charlie.example" },
		"receiver":      func(r *ReceiptPayload) { r.To = "charlie.example" },
		"content":       func(r *ReceiptPayload) { r.PayloadSHA256 = digest([]byte("other")) },
		"without_times": func(r *ReceiptPayload) { r.StoredAt = time.Time{} },
	} {
		r := good
		change(&r)
		got, err := readReceipt(mustJSON(t, r))
		if err == nil {
			err = compareReceipt(got, &store.Message{Direction: store.Out, Peer: "bravo.example", ID: message.ID, Serial: message.Serial, Payload: raw}, "alfa.example")
		}
		if (err == nil) != (name == "") {
			t.Errorf("%q: %+v, %v", name, got, err)
		}
	}
}
