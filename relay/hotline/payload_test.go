// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package hotline

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

func FuzzAReceiptIsReadAsJSONSays(f *testing.F) {
	good := ReceiptPayload{
		Version: 1, MessageID: "01KAN8QW0G5V3Z1M4T7R9XCDEF", Serial: 7, From: "alfa.example", To: "bravo.example",
		PayloadSHA256: digest(nil), StoredAt: time.Unix(1, 2000).UTC(),
	}
	raw := encodeReceipt(good)
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
