// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/json"
	"testing"
)

// FuzzEntriesAreWrittenAsJSONWouldWriteThem holds what is stored to one form, whoever wrote it.
func FuzzEntriesAreWrittenAsJSONWouldWriteThem(f *testing.F) {
	for _, id := range []string{"01J0000000000000000000000B", "", `a"b`, `a\\b`, "<&>", "\x00", "\x7f", "\u2028", "é", "\xff"} {
		f.Add("message/1", id, []byte("body"))
		f.Add(id, "m", []byte(nil))
	}
	f.Fuzz(func(t *testing.T, kind, id string, body []byte) {
		entries := []JournalEntry{{Kind: "receipt/1", Message: "m"}, {Kind: kind, Message: id, Body: body}, {Kind: "act/1", Body: body}}
		got, err := EncodeEntries(entries)
		if err != nil {
			t.Fatal(err)
		}
		for i := range entries {
			if entries[i].Message != "" {
				entries[i].Body = nil
			}
		}
		if want, err := json.Marshal(entries); err != nil || string(got) != string(want) {
			t.Errorf("written is %s, want %s, %v", got, want, err)
		}
		if _, err := DecodeEntries(got); err != nil {
			t.Error(err)
		}
	})
}
