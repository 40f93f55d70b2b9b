// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/link"
)

// ask sends a body to bravo's hotline, and returns the answer, read.
func ask(t *testing.T, alfa *side, body io.Reader) (*http.Response, string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://bravo.example"+link.PathHotline+"x", body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := alfa.pool.Client("bravo.example", link.Hotline).Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	read, err := io.ReadAll(resp.Body)
	return resp, string(read), err
}

// answering lets bravo answer with a handler of its own.
func (s *side) answering(handler http.HandlerFunc) { s.special.Store(&handler) }

func TestAShortRequestIsAnsweredAsALongOneIs(t *testing.T) {
	alfa, bravo := meet(t)
	write := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
	}
	for name, answer := range map[string]http.HandlerFunc{
		"nothing": func(http.ResponseWriter, *http.Request) {},
		"text":    write("hello"),
		"much":    write(strings.Repeat("x", 200<<10)),
		"in pieces": func(w http.ResponseWriter, r *http.Request) {
			for range 100 {
				write("<p>"+strings.Repeat("y", 1<<10))(w, r)
			}
		},
		"a status":   func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusTeapot) },
		"no content": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent); write("x")(w, r) },
		"with its length": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "102400")
			write(strings.Repeat("z", 100<<10))(w, r)
		},
		"with a length that is none": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "many")
			write("x")(w, r)
		},
		"two statuses": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusAccepted)
			w.WriteHeader(http.StatusOK)
		},
		"the body": func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) },
		"the sender": func(w http.ResponseWriter, r *http.Request) {
			peer, _ := access.PeerFrom(r.Context())
			at, ok := link.PathOf(r.Context())
			fmt.Fprint(w, peer.TrustDomain, at.TrustDomain, ok, r.Method, r.URL.Path, r.Header.Get("Content-Type"), r.Host)
		},
	} {
		bravo.answering(func(w http.ResponseWriter, r *http.Request) {
			sent, _ := io.ReadAll(r.Body) // what is long and not read ends the connection
			r.Body = io.NopCloser(bytes.NewReader(sent))
			answer(w, r)
		})
		short, text, err := ask(t, alfa, strings.NewReader("short"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		long, longText, err := ask(t, alfa, strings.NewReader("short"+strings.Repeat(" ", 80<<10)))
		if err != nil {
			t.Fatalf("%s, long: %v", name, err)
		}
		if short.StatusCode != long.StatusCode || text != strings.TrimRight(longText, " ") {
			t.Errorf("%s: %d with %d bytes, want %d with %d", name, short.StatusCode, len(text), long.StatusCode, len(longText))
		}
		if got, want := short.Header.Get("Content-Type"), long.Header.Get("Content-Type"); got != want {
			t.Errorf("%s: it is %q, want %q", name, got, want)
		}
	}
}

func TestAShortExchangeCostsNoHandshake(t *testing.T) {
	alfa, _ := oneWay(t)
	alfa.rested(t)
	before := alfa.count(t, "certlink_relay_link_dials_total")
	for range 50 {
		if _, _, err := ask(t, alfa, strings.NewReader("short")); err != nil {
			t.Fatal(err)
		}
		alfa.rested(t) // the END of a response that was read may be on its way
	}
	if n := alfa.count(t, "certlink_relay_link_dials_total") - before; n > 3 {
		t.Errorf("%v connections were dialled for 50 requests", n)
	}
}

func TestAShortAnswerThatIsNotWholeIsNone(t *testing.T) {
	alfa, bravo := meet(t)
	for name, answer := range map[string]http.HandlerFunc{
		"less than announced": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "hello")
		},
		"a panic": func(http.ResponseWriter, *http.Request) { panic("on purpose") },
		"an abort after much": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("x", 200<<10))
			panic(http.ErrAbortHandler)
		},
	} {
		bravo.answering(answer)
		if resp, text, err := ask(t, alfa, strings.NewReader("short")); err == nil {
			t.Errorf("%s: %d with %d bytes", name, resp.StatusCode, len(text))
		}
	}
	bravo.answering(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	if _, text, err := ask(t, alfa, strings.NewReader("short")); err != nil || text != "hello" {
		t.Errorf("afterwards: %q, %v", text, err)
	}
}

func TestAPeerThatGoesAwayEndsItsShortRequest(t *testing.T) {
	alfa, bravo := meet(t)
	begun, ended := make(chan struct{}), make(chan struct{})
	bravo.answering(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(begun)
		<-r.Context().Done()
		close(ended)
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://bravo.example"+link.PathHotline, strings.NewReader("short"))
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() {
		resp, err := alfa.pool.Client("bravo.example", link.Hotline).Do(req)
		if err == nil {
			resp.Body.Close()
		}
		gone <- err
	}()
	<-begun
	cancel()
	if err := <-gone; err == nil {
		t.Error("it was answered")
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the handler was not told")
	}
}

// TestAStoppingRelayEndsAShortRequestThatGoesOn needs nothing but that the relay stops: the bubble waits for it.
func TestAStoppingRelayEndsAShortRequestThatGoesOn(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		s := newSlow(t)
		s.answering(func(_ http.ResponseWriter, r *http.Request) {
			s.working.Add(1)
			defer s.working.Add(-1)
			<-r.Context().Done()
		})
		request, _ := s.begin(t, link.Hotline)
		if _, err := fmt.Fprintf(request, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", link.PathHotline); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		if s.working.Load() != 1 {
			t.Error("it is not under way")
		}
	})
}

// TestAStoppingRelayAnswersAShortRequestThatHasBegun stops before the handler has answered: the context of a test ends
// before what is to be cleaned up.
func TestAStoppingRelayAnswersAShortRequestThatHasBegun(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		s := newSlow(t)
		s.answering(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-t.Context().Done()
			<-time.After(5 * time.Second)
			_, _ = io.WriteString(w, "hello")
		})
		request, _ := s.begin(t, link.Hotline)
		if _, err := fmt.Fprintf(request, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", link.PathHotline); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		t.Cleanup(func() {
			if got, err := io.ReadAll(request); err != nil || !strings.HasSuffix(string(got), "hello") {
				t.Errorf("%q, %v", got, err)
			}
		})
	})
}
