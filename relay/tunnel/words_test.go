// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package tunnel_test

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

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
	for range clients {
		w.isReset(t)
	}
	if e := w.service(t, w.alfa, "bravo-web").Error; !strings.Contains(e, "411 reason 1") {
		t.Errorf("%d refusals on we say %q", asked.Load(), e)
	}
	if n := counted(t, w.alfa, "certlink_relay_tunnel_failed_total", "status_other"); n != clients {
		t.Errorf("%v are counted as others", n)
	}
}
