// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/certlink/certlink/relay/receipt"
)

func FuzzAReceiptIsReadAsJSONSays(f *testing.F) {
	good := ReceiptPayload{
		Version: 1, MessageID: "01KAN8QW0G5V3Z1M4T7R9XCDEF", Serial: 7, From: "alfa.example", To: "bravo.example",
		PayloadSHA256: digest(nil), StoredAt: time.Unix(1, 2000).UTC(),
	}
	raw := encodeReceipt(&good)
	if got, ok := scanReceipt(raw); !ok || got != good {
		f.Errorf("the receipt is read as %+v, %t", got, ok)
	}
	f.Add(raw)
	for _, s := range []string{
		"", "{}", `{"version":1}`, `{"version":01,"message_id":"x","serial":+1,"from":"a","to":"b","payload_sha256":"c","stored_at":"1970-01-01T00:00:01Z"}`,
		`{"version":1,"message_id":"\u0041","serial":1,"from":"\xff","to":"b","payload_sha256":"c","stored_at":"1970-01-01T00:00:01Z"}`,
		`{"version":1,"message_id":"x","serial":1,"from":"a","to":"b","payload_sha256":"c","stored_at":"1970-01-01T00:00:01+01:00"}`,
		`{"version":1,"message_id":"x","serial":1,"from":"a","to":"b","payload_sha256":"c","stored_at":"1970-01-01T00:00:01Z"} `,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, ok := scanReceipt(raw)
		if !ok {
			return
		}
		var want ReceiptPayload
		if err := json.Unmarshal(raw, &want); err != nil || !got.StoredAt.Equal(want.StoredAt) {
			t.Fatalf("%q is read as %+v, JSON says %+v, %v", raw, got, want, err)
		}
		if got.StoredAt = want.StoredAt; got != want {
			t.Errorf("%q is read as %+v, JSON says %+v", raw, got, want)
		}
	})
}

func TestNumberedIsWhatEncodeWrites(t *testing.T) {
	p := Payload{
		Version: Version, ID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", Serial: 1, From: "alfa.example", To: "bravo.example", Conversation: "c",
		Kind: "NOTIFICATION", Precedence: "ROUTINE", TLP: "AMBER", CreatedAt: time.Unix(1_800_000_000, 0).UTC(), Officer: "Officer One",
		Subject: `the words "serial":1, are text`, Text: "text", Language: "en",
	}
	raw, err := encode(&p)
	if err != nil {
		t.Fatal(err)
	}
	for _, serial := range []int64{1, 9, 10, 1 << 40, math.MaxInt64} {
		p.Serial = serial
		want, err := json.Marshal(&p)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := numbered(raw, p.ID, serial); !ok || !bytes.Equal(got, want) {
			t.Errorf("serial %d: %s, want %s", serial, got, want)
		}
	}
	if got, ok := numbered(raw, "01ARZ3NDEKTSV4RRFFQ69G5FAW", 2); ok {
		t.Errorf("a message of another id: %s", got)
	}
	if _, ok := numbered(append(raw, make([]byte, receipt.MaxPayloadBytes)...), p.ID, 2); ok {
		t.Error("a message that is too long got a serial")
	}
}
