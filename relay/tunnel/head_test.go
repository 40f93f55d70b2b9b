// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
)

func TestAHeadIsReadInAnyPieces(t *testing.T) {
	whole := string(request("web")) + "rest"
	head, rest, err := readHead(strings.NewReader(whole))
	if err != nil || string(rest) != "rest" {
		t.Fatalf("%q %q %v", head, rest, err)
	}
	if name, err := parseRequest(head); name != "web" || err != nil {
		t.Fatal(name, err)
	}
	head, rest, err = readHead(iotest.OneByteReader(strings.NewReader(whole)))
	if err != nil || len(rest) != 0 {
		t.Fatalf("%q %q %v", head, rest, err)
	}
	if name, err := parseRequest(head); name != "web" || err != nil {
		t.Fatal(name, err)
	}
}

func TestAnswersAreUnderstood(t *testing.T) {
	for _, no := range []*refusal{refuseForeign, refuseDrained, refuseHead, refuseTarget, refusePeerLimit} {
		head, _, err := readHead(bytes.NewReader(response(no.status, no.text)))
		if err != nil {
			t.Fatal(err)
		}
		status, reason, err := parseResponse(head)
		if status != no.status || reason != no.text || err != nil {
			t.Error(status, reason, err)
		}
	}
}

func TestStepsMoveRarely(t *testing.T) {
	for n, want := range map[int64]int64{-1: 0, 0: 0, 1: 1, 9: 1, 10: 10, 99: 10, 100: 100, 12345: 10000} {
		if got := steps(n); got != want {
			t.Errorf("steps(%d) = %d", n, got)
		}
	}
}

// Whatever arrives, a head is bounded, and a name that comes out of it is one that a
// configuration can hold.
func FuzzHead(f *testing.F) {
	f.Add([]byte("CONNECT web HTTP/1.1\r\nHost: web\r\n\r\nrest"))
	f.Add([]byte("HTTP/1.1 403 no\r\nContent-Length: 0\r\n\r\n"))
	f.Add([]byte("CONNECT a HTTP/1.1\r\n b\r\n\r\n"))
	f.Add(bytes.Repeat([]byte("x"), 3000))
	f.Fuzz(func(t *testing.T, b []byte) {
		head, rest, err := readHead(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, errHead) {
				t.Fatal(err)
			}
			return
		}
		if len(head)+len(rest) > maxHead || !bytes.HasPrefix(b, head) {
			t.Fatalf("%d and %d bytes", len(head), len(rest))
		}
		if name, err := parseRequest(head); err == nil && (!isService(name) || !bytes.HasPrefix(b, []byte("CONNECT "+name+" HTTP/1.1\r\n"))) {
			t.Fatalf("%q from %q", name, b)
		}
		if status, reason, err := parseResponse(head); err == nil && (status < 200 || status > 599 || !printable(reason)) {
			t.Fatal(status, reason)
		}
	})
}
