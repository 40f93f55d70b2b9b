// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/config"
)

// deaf is a mail server that says nothing more once it has heard a command, or before its
// greeting if that is empty. heard gets a word then; gone is closed when the client has gone.
func deaf(t *testing.T, after string) (address string, heard, gone chan struct{}) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	heard, gone = make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(gone)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		hang := func() {
			heard <- struct{}{}
			_, _ = io.Copy(io.Discard, conn)
		}
		if after == "" {
			hang()
			return
		}
		answer := func(line string) { _, _ = io.WriteString(conn, line+"\r\n") }
		answer("220 ready")
		mail := false // what comes is the mail itself
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			switch verb := strings.ToUpper(strings.Fields(lines.Text() + " .")[0]); {
			case verb == after:
				hang()
				return
			case mail:
			case verb == "DATA":
				mail = true
				answer("354 go on")
			default:
				answer("250 fine")
			}
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-gone
	})
	return listener.Addr().String(), heard, gone
}

func TestAMailServerThatFallsSilentHoldsNobodyUp(t *testing.T) {
	for name, after := range map[string]string{"before_its_greeting": "", "at_the_first_word": "EHLO", "at_a_receiver": "RCPT", "at_the_mail_itself": "."} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, heard, gone := deaf(t, after)
			n := mustNotifier(t, mailTo(t, &postOffice{address: address}, config.MailPlainLoopback, nil))
			endsWhenCancelled(t, n, heard, gone, mailTimeout)
		})
	}
}

func TestATLSMailServerThatFallsSilentHoldsNobodyUp(t *testing.T) {
	address, heard, gone := deaf(t, "")
	n := mustNotifier(t, mailTo(t, &postOffice{address: address}, config.MailTLSRequired, nil))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- n.Notify(ctx, silent()) }()
	<-heard
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	<-gone
}

// endsWhenCancelled: a notice to a receiver that has heard of it and hangs ends as soon as nobody wants it any more, long
// before its own deadline; it does not count as told, and its connection is closed.
func endsWhenCancelled(t *testing.T, n Notifier, heard, gone <-chan struct{}, deadline time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- n.Notify(ctx, silent()) }()
	<-heard
	cancel()
	select {
	case err := <-done:
		if err == nil {
			t.Error("it counts as told")
		}
	case <-time.After(deadline * 3 / 4):
		t.Fatal("what was cancelled goes on")
	}
	<-gone
}
