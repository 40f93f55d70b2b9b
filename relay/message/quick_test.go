// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package message

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

func FuzzAMessageIsReadQuicklyAsItIsOtherwise(f *testing.F) {
	const head = `{"version":1,"id":"01KAN8QW0G5V3Z1M4T7R9XCDEF","serial":7,"from":"alfa.example"`
	for _, rest := range []string{
		`}`, `,"text":"a\nb\t\"c\"\\ \/\b\f\r"}`, `,"text":""}`, `,"text":"\u00e9"}`, `,"text":"é ü \u2028"}`, `,"text":"` + "\xff" + `"}`, `,"text":"a` + "\x1f" + `"}`, `,"text":"\x"}`,
		`,"text":"` + "\x7f0123456789abcdef" + `"}`, `,"serial":8}`, `,"answer_by":"2026-01-02T03:04:05Z"}`, `,"answer_by":"2026-01-02T03:04:05.123456789Z"}`,
		`,"answer_by":"2026-13-02T03:04:05Z"}`, `,"answer_by":"2026-01-02T03:04:05+01:00"}`, `,"answer_by":"2026-01-02T03:04:05\u005a"}`, `,"created_at":"0001-01-01T00:00:00Z"}`,
		`,"unknown":"x"}`, `,"Text":"x"}`, `,"exercise":null}`, `,"references":[]}`, ` }`, `} `, `}x`, `,}`, `,"text":"x"`, `,"text":"x`, `,"kind":"ACK","kind":"ACK"}`, `,"te\u0078t":"a"}`,
		`,"in_reply_to":"x","tlp":"RED","rsit":"test:test","officer":"o","subject":"s","language":"en","exercise":"e","precedence":"FLASH","conversation":"c","to":"b"}`,
	} {
		f.Add(head + rest)
	}
	for _, s := range []string{"", "{}", "{", "null", `{"version":01}`, `{"version":-1}`, `{"version":1.0}`, `{"version":1e0}`, `{"version":3000000000}`, `{"serial":999999999999999999}`, `{"serial":1000000000000000000}`, `{"version":}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := quick([]byte(s))
		if !ok {
			return
		}
		want, err := read([]byte(s))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is read as %+v, not %+v, %v", s, got, want, err)
		}
	})
}

func FuzzAMessageIsWrittenQuicklyAsItIsOtherwise(f *testing.F) {
	for _, s := range []string{"", "a", "0123456789abcde\n0123456789abcdef", "\"\\/\b\f\n\r\t\x00\x1f\x7f<>&'", "é ü \u2028 😀", "12345678\xff", "\xed\xa0\x80"} {
		f.Add(s, "x", s, int64(7), int64(1_700_000_000_123_456_789))
		f.Add("x", s, "", int64(-1), int64(0))
	}
	f.Fuzz(func(t *testing.T, text, subject, word string, serial, at int64) {
		m := Message{
			Version: int(int32(serial)), ID: word, Serial: serial, From: word, To: subject, Conversation: text, InReplyTo: word, Kind: Kind(subject), Precedence: word,
			TLP: subject, RSIT: word, CreatedAt: time.Unix(0, at).UTC(), Officer: subject, Subject: subject, Text: text, Language: word, Exercise: word,
		}
		if at%2 == 0 {
			m.AnswerBy = time.Unix(at, 0).UTC()
		}
		got, ok := quickEncode(&m)
		if !ok {
			return
		}
		want, err := json.Marshal(&m)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("written as %q, not %q, %v", got, want, err)
		}
	})
}

func TestAMessageOfThisReleaseIsReadQuickly(t *testing.T) {
	m := Message{
		Version: Version, ID: "01KAN8QW0G5V3Z1M4T7R9XCDEF", Serial: 7, From: "alfa.example", To: "bravo.example", Conversation: "c", Kind: Notification,
		Precedence: "ROUTINE", TLP: "RED", CreatedAt: time.Date(2026, 5, 4, 12, 0, 0, 123456000, time.UTC), Officer: "Ünal", Subject: "s", Text: strings.Repeat("0123456789abcde\n", 64), Language: "en",
	}
	raw, err := Encode(&m)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := quick(raw); !ok || !reflect.DeepEqual(got, m) {
		t.Errorf("got %+v, %t", got, ok)
	}
	if n := testing.AllocsPerRun(100, func() { quick(raw) }); n > 1 {
		t.Errorf("it takes %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = quickEncode(&m) }); n > 1 {
		t.Errorf("writing it takes %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { _ = m.Check() }); n > 0 {
		t.Errorf("checking it takes %v allocations", n)
	}
}
