// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"bytes"
	"io"
	"net"
	"testing"

	"github.com/certlink/certlink/relay/config"
)

// chatterbox is a mail server that begins a line and never ends it. said gets how much of it was taken.
func chatterbox(t *testing.T, first string) (address string, said chan int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	said = make(chan int64, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, first); err != nil {
			return
		}
		total, line := int64(0), bytes.Repeat([]byte("x"), 64<<10)
		for total < 64*maxMailAnswers { // what sockets buffer besides is less
			n, err := conn.Write(line)
			if total += int64(n); err != nil {
				break
			}
		}
		said <- total
	}()
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String(), said
}

func TestAMailServerThatNeverEndsALineFillsNoMemory(t *testing.T) {
	for name, tc := range map[string]struct {
		first string
		tls   config.MailTLS
	}{
		"in_its_greeting":  {"220 ", config.MailPlainLoopback},
		"in_its_answer":    {"220 ready\r\n250-", config.MailPlainLoopback},
		"in_place_of_TLS":  {"\x16\x03\x03", config.MailTLSRequired},
		"before_start_TLS": {"220 ready\r\n250-STARTTLS\r\n250-", config.MailStartTLS},
	} {
		t.Run(name, func(t *testing.T) {
			address, said := chatterbox(t, tc.first)
			n := mustNotifier(t, mailTo(t, &postOffice{address: address}, tc.tls, nil))
			err := n.Notify(t.Context(), silent())
			if err == nil {
				t.Fatal("the mail counts as sent")
			}
			if total := <-said; total >= 64*maxMailAnswers {
				t.Errorf("%d bytes were taken; the error is %v", total, err)
			}
		})
	}
}
