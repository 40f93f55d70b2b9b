// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel_test

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/stream"
)

// TestAPeerThatGivesAnotherReasonEachTimeIsHeardOnce refuses with another status and other words each time that a client of ours comes.
func TestAPeerThatGivesAnotherReasonEachTimeIsHeardOnce(t *testing.T) {
	const clients = 8
	w := newWorld(t, "127.0.0.1:1")
	var asked atomic.Int32
	serve := func(s *stream.Stream) {
		defer s.Close()
		_, _, _ = readAny(s)
		n := asked.Add(1)
		fmt.Fprintf(s, "HTTP/1.1 %d reason %d\r\nContent-Length: 0\r\n\r\n", 410+n, n)
		_ = s.CloseWrite()
		_, _ = io.Copy(io.Discard, s)
	}
	w.bravo.link.serve.Store(&serve)
	begun := time.Now()
	for range clients {
		w.isReset(t)
	}
	want := "411 reason 1"
	e := w.service(t, w.alfa, "bravo-web").Error
	if time.Since(begun) > 10*time.Second {
		want = " reason " // on a machine so slow that the words may be others by now
	}
	if !strings.Contains(e, want) {
		t.Errorf("%d refusals on we say %q", asked.Load(), e)
	}
	if n := counted(t, w.alfa, "certlink_relay_tunnel_failed_total", "status_other"); n != clients {
		t.Errorf("%v are counted as others", n)
	}
}
