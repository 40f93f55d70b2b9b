// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/certlink/certlink/relay/message"
)

func goodCheck() Check {
	return Check{
		Version: 1, From: "alfa.example", To: "bravo.example", Path: Way{"alfa.example", "relay.bravo.example:8443"}, Number: 3,
		Slot: noon, SentAt: noon.Add(time.Second), RSIT: message.TestCode, TextID: "fox", Text: "The quick brown fox.",
		IntervalSeconds: 3600, Dials: []string{"relay.bravo.example:8443"},
	}
}

func TestAStatementIsBounded(t *testing.T) {
	for name, spoil := range map[string]func(*Check){
		"another_version":          func(c *Check) { c.Version = 2 },
		"no_test":                  func(c *Check) { c.RSIT = "vulnerable:ddos-amplifier" },
		"a_path_of_somebody_else":  func(c *Check) { c.Path.DialledBy = "charlie.example" },
		"an_address_of_two_words":  func(c *Check) { c.Path.Address = "a b" },
		"no_address":               func(c *Check) { c.Path.Address = "" },
		"a_long_address":           func(c *Check) { c.Path.Address = strings.Repeat("a", 300) },
		"no_number":                func(c *Check) { c.Number = 0 },
		"a_large_number":           func(c *Check) { c.Number = 1 << 60 },
		"no_slot":                  func(c *Check) { c.Slot = time.Time{} },
		"no_time":                  func(c *Check) { c.SentAt = time.Time{} },
		"negative_skips":           func(c *Check) { c.Skipped = -1 },
		"no_text":                  func(c *Check) { c.Text = "" },
		"a_long_text":              func(c *Check) { c.Text = strings.Repeat("a", 257) },
		"a_text_of_control":        func(c *Check) { c.Text = "a\x1bb" },
		"no_interval":              func(c *Check) { c.IntervalSeconds = 0 },
		"many_addresses":           func(c *Check) { c.Dials = make([]string, 17) },
		"an_address_with_new_line": func(c *Check) { c.Dials = []string{"a\nb"} },
	} {
		c := goodCheck()
		spoil(&c)
		raw, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeCheck(raw); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	c := goodCheck()
	raw, err := encode(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decodeCheck(raw); err != nil {
		t.Error(err)
	}
	if _, err := message.Decode(raw); err == nil {
		t.Error("a line check can be read as a message")
	}
}

func TestAReceiptIsForThisVeryCheck(t *testing.T) {
	sent := goodCheck()
	for name, spoil := range map[string]func(*Receipt){
		"of_another_version": func(r *Receipt) { r.Version = 9 },
		"of_another_code":    func(r *Receipt) { r.RSIT = "" },
		"of_another_number":  func(r *Receipt) { r.Number++ },
		"of_other_content":   func(r *Receipt) { r.CheckSHA256 = "x" },
		"of_another_path":    func(r *Receipt) { r.Path.Address = "x" },
		"of_another_side":    func(r *Receipt) { r.From = "charlie.example" },
		"without_time":       func(r *Receipt) { r.ReceivedAt = time.Time{} },
		"that_says_nothing":  func(r *Receipt) { r.Verdict = "Maybe" },
		"good":               func(*Receipt) {},
	} {
		r := Receipt{Version: 1, From: sent.To, To: sent.From, CheckSHA256: "d", Path: sent.Path, Number: sent.Number, ReceivedAt: noon, Verdict: Received, RSIT: message.TestCode}
		spoil(&r)
		raw, err := encode(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeReceipt(raw, &sent, "d"); (err == nil) != (name == "good") {
			t.Errorf("a receipt %s: %v", name, err)
		}
	}
}

func FuzzDecodeCheck(f *testing.F) {
	raw, err := encode(goodCheck())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"slot":"9999-12-31T23:59:59+23:59"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := decodeCheck(raw)
		if err != nil {
			return
		}
		again, err := encode(c)
		if err != nil {
			return // what it holds may be longer when written by us
		}
		if _, err := decodeCheck(again); err != nil {
			t.Errorf("what was taken is refused when written again: %v\n%s", err, again)
		}
	})
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add([]byte(`{"version":1,"month":"2026-03","from":"2026-03-01T00:00:00Z","until":"2026-04-01T00:00:00Z","by":"a","with":"b","paths":[]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := decodeRecord(raw)
		if err == nil {
			compare(r, Record{By: r.With, With: r.By})
			compare(Record{By: r.With, With: r.By}, r)
		}
	})
}
