// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/stream"
)

// TestAnAnswerAtTheMomentAtWhichWatchingBeginsEndsItsStreamWell answers as late as a look at the peer begins, before and after
// it, and asks again on the same connection.
func TestAnAnswerAtTheMomentAtWhichWatchingBeginsEndsItsStreamWell(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		s := newSlow(t)
		late := []time.Duration{0, link.WatchAfter - 1, link.WatchAfter, link.WatchAfter, link.WatchAfter + 1, time.Minute / 4}
		round := 0
		s.answering(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-time.After(late[round%len(late)])
			if err := r.Context().Err(); err != nil {
				t.Errorf("round %d: %v", round, err)
			}
			_, _ = io.WriteString(w, "hello")
		})
		conn, _ := s.dial(t, link.Hotline)
		c, err := stream.Client(conn, stream.Hello{Address: "bravo.example:8443"}, stream.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Cut()
		for ; round < 20*len(late); round++ {
			st, err := c.Open()
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			if _, err := fmt.Fprintf(st, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", link.PathHotline); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(st)
			if err != nil || !strings.HasSuffix(string(got), "hello") {
				t.Errorf("round %d: %q, %v", round, got, err)
			}
			st.Close()
			<-time.After(time.Second) // both sides have ended it
		}
	})
}
