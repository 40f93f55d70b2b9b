// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stix

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// FuzzScannerDelimitsWhatTheDecoderReads feeds the scanner in two pieces, cut anywhere.
func FuzzScannerDelimitsWhatTheDecoderReads(f *testing.F) {
	for _, seed := range []string{`{"a":"b"}`, `"\\"`, `"\"",1`, `["\\\"]","}"]`, `{"a":{"b":[1,"\u0022",null]}} `, `"a\\\\"x`, `12,`, `true]`} {
		for cut := range seed {
			f.Add(seed, cut)
		}
	}
	f.Fuzz(func(t *testing.T, text string, cut int) {
		want := jsontext.Value(text)
		if !want.IsValid() || want.Kind() == 0 {
			return
		}
		// White space around the value is not the scanner's.
		begin := 0
		for begin < len(text) && (text[begin] == ' ' || text[begin] == '\t' || text[begin] == '\r' || text[begin] == '\n') {
			begin++
		}
		text = text[begin:] + ","
		cut = max(0, cut) % len(text)
		var s scanner
		n := s.scan([]byte(text[:cut]))
		if !s.finished {
			n += s.scan([]byte(text[cut:]))
		}
		if !s.finished || !jsontext.Value(text[:n]).IsValid() {
			t.Errorf("scan(%q, %q) ends behind %q, finished %t", text[:cut], text[cut:], text[:n], s.finished)
		}
	})
}

func TestScanningEscapesTakesTimeInProportionToTheirNumber(t *testing.T) {
	text := `"` + strings.Repeat(`\n`, MaxObjectBytes) + `"`
	begun := time.Now()
	var s scanner
	if n := s.scan([]byte(text)); n != len(text) || !s.finished {
		t.Errorf("scan ends at %d of %d", n, len(text))
	}
	// It takes milliseconds; minutes if each escape looks for the closing quote.
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}
