// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/link"
)

// TestAShortRequestThatComesInPiecesHasNoMoreTimeThanOthers begins a request so late, and in such pieces, that two servers read its
// header one after the other.
func TestAShortRequestThatComesInPiecesHasNoMoreTimeThanOthers(t *testing.T) {
	const late = 9 * time.Second
	for name, c := range map[string]struct {
		rest string
		has  time.Duration
	}{
		"whose_header_stops": {"T " + link.PathHotline, 10 * time.Second},
		"whose_body_stops":   {"T " + link.PathHotline + " HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc", bounds[link.Hotline].read},
	} {
		t.Run(name, func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) {
				s := newSlow(t)
				request, _ := s.begin(t, link.Hotline)
				over, begun := make(chan time.Duration, 1), time.Now()
				go func() {
					_, _ = io.Copy(io.Discard, request) // to read it opens the stream
					over <- time.Since(begun)
				}()
				<-time.After(late)
				for _, piece := range []string{"POS", c.rest} {
					if _, err := io.WriteString(request, piece); err != nil {
						t.Fatal(err)
					}
					<-time.After(time.Millisecond) // the first has been read
				}
				if took := <-over; took < c.has || took > c.has+time.Second {
					t.Errorf("bravo ends it after %s, and has %s", took, c.has)
				}
			})
		})
	}
}

// TestAStoppingRelayLeavesAShortRequestAloneThatHeedsNothing waits for the relay, and then for the handler.
func TestAStoppingRelayLeavesAShortRequestAloneThatHeedsNothing(t *testing.T) {
	const hangs = time.Hour
	testbubble.Run(t, func(t *testing.T) {
		var stopping time.Time
		t.Cleanup(func() { // when bravo has stopped: what is registered last is called first
			if took := time.Since(stopping); took > 10*time.Second {
				t.Errorf("bravo has stopped after %s", took)
			}
			<-time.After(hangs) // until the handler returns
		})
		s := newSlow(t)
		s.answering(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			s.working.Add(1)
			<-time.After(hangs)
			s.working.Add(-1)
		})
		request, _ := s.begin(t, link.Hotline)
		if _, err := fmt.Fprintf(request, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", link.PathHotline); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		if s.working.Load() != 1 {
			t.Error("it is not under way")
		}
		stopping = time.Now()
	})
}
