// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/link"
)

// posts sends a request with a body to bravo's hotline, of which so many bytes leave.
func posts(to net.Conn, length, leave int) {
	fmt.Fprintf(to, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", link.PathHotline, length)
	_, _ = io.WriteString(to, strings.Repeat("a", leave))
}

// status reads the answer to a request.
func status(t *testing.T, from net.Conn) int {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(from), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// TestAPeerHasFewLargeRequestsInMemoryAtOnce lets all requests of the hotline that a peer may have stop before their end: each would be in
// memory as far as it has come.
func TestAPeerHasFewLargeRequestsInMemoryAtOnce(t *testing.T) {
	const few, length = 8, 5 << 20
	for name, begin := range map[string]func(to net.Conn){
		"of_a_known_length": func(to net.Conn) { posts(to, length, 100_000) },
		"in_chunks": func(to net.Conn) {
			fmt.Fprintf(to, "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", link.PathHotline)
		},
	} {
		t.Run(name, func(t *testing.T) {
			testbubble.Run(t, func(t *testing.T) {
				s := newSlow(t)
				for range 20 {
					request, _ := s.begin(t, link.Hotline)
					go begin(request)
				}
				<-time.After(time.Second)
				if n := s.working.Load(); n != few {
					t.Errorf("%d large requests are served at once, want %d", n, few)
				}
				request, _ := s.begin(t, link.Hotline)
				go posts(request, 3, 3)
				if got := status(t, request); got != http.StatusOK {
					t.Errorf("a short request beside them: %d", got)
				}
				late, _ := s.begin(t, link.Hotline)
				begun := time.Now()
				go posts(late, 100_000, 100_000)
				if got := status(t, late); got != http.StatusOK || time.Since(begun) > bounds[link.Hotline].read {
					t.Errorf("a large request after them: %d after %s", got, time.Since(begun))
				}
				<-time.After(2 * time.Minute)
				if n := s.working.Load(); n != 0 {
					t.Errorf("%d are served when their time is over", n)
				}
			})
		})
	}
}

// TestAPeerThatSendsAllItMaySendWaitsForNothing lets batches and chunks of all lanes stop on a path that has stalled, and sends a large FLASH over
// another.
func TestAPeerThatSendsAllItMaySendWaitsForNothing(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		const stalled = 24 // of 32 connections
		s := newSlow(t)
		for range stalled {
			request, _ := s.begin(t, link.Hotline)
			go posts(request, 3<<19, 100_000)
		}
		<-time.After(time.Second)
		if n := s.working.Load(); n != stalled {
			t.Errorf("%d requests of %d are served", n, stalled)
		}
		flash, _ := s.begin(t, link.Hotline)
		begun := time.Now()
		go posts(flash, 3<<19, 3<<19)
		if got := status(t, flash); got != http.StatusOK || time.Since(begun) > time.Second {
			t.Errorf("one more: %d after %s", got, time.Since(begun))
		}
	})
}
