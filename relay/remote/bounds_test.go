// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/config"
)

func TestAnswersAreBounded(t *testing.T) {
	pack := func(n int) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(make([]byte, n))
		_ = z.Close()
		return b.Bytes()
	}
	bomb := pack(100 << 20) // beforehand: a server that packs it while it is asked may seem to stall
	plain := func(w http.ResponseWriter, n int) { _, _ = w.Write(make([]byte, n)) }
	packed := func(w http.ResponseWriter, body []byte) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(body)
	}
	for name, tt := range map[string]struct {
		answer func(http.ResponseWriter)
		limit  int64
		length int64
		want   error
	}{
		"as_long_as_allowed":         {func(w http.ResponseWriter) { plain(w, 1000) }, 1000, 1000, nil},
		"a_byte_longer":              {func(w http.ResponseWriter) { plain(w, 1001) }, 1000, 0, ErrTooLong},
		"packed":                     {func(w http.ResponseWriter) { packed(w, pack(100_000)) }, 100_000, 100_000, nil},
		"packed_and_a_byte_longer":   {func(w http.ResponseWriter) { packed(w, pack(100_001)) }, 100_000, 0, ErrTooLong},
		"a_bomb":                     {func(w http.ResponseWriter) { packed(w, bomb) }, 1 << 40, 0, ErrBomb},
		"packed_and_cut":             {func(w http.ResponseWriter) { packed(w, pack(100_000)[:50]) }, 1 << 20, 0, io.ErrUnexpectedEOF},
		"said_to_be_packed_and_none": {func(w http.ResponseWriter) { packed(w, []byte("[]")) }, 1 << 20, 0, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { tt.answer(w) }))
			defer server.Close()
			resp, err := client(t, config.Remote{URL: server.URL}, Options{}).Get(t.Context(), "", tt.limit, Validators{})
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			n, err := io.Copy(io.Discard, resp.Body)
			if !errors.Is(err, tt.want) || tt.want == nil && n != tt.length {
				t.Errorf("%d bytes, %v, want %v", n, err, tt.want)
			}
			if _, again := resp.Body.Read(make([]byte, 1)); tt.want != nil && !errors.Is(again, tt.want) {
				t.Errorf("then %v", again)
			}
			if tt.want == nil && resp.Total >= 0 && resp.Received() != resp.Total {
				t.Errorf("received %d of %d", resp.Received(), resp.Total)
			}
		})
	}
}

func TestSilenceAndSlownessEnd(t *testing.T) {
	for name, send := range map[string]func(w http.ResponseWriter, end <-chan struct{}){
		"before_the_answer": func(_ http.ResponseWriter, end <-chan struct{}) { <-end },
		"in_the_answer": func(w http.ResponseWriter, end <-chan struct{}) {
			_, _ = io.WriteString(w, "begun")
			_ = http.NewResponseController(w).Flush()
			<-end
		},
		"byte_by_byte": func(w http.ResponseWriter, end <-chan struct{}) {
			tick := time.NewTicker(short / 20)
			defer tick.Stop()
			for {
				select {
				case <-end:
					return
				case <-tick.C:
					_, _ = io.WriteString(w, "x")
					_ = http.NewResponseController(w).Flush()
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			end := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { send(w, end) }))
			defer server.Close()
			defer close(end)
			_, err := read(t, client(t, config.Remote{URL: server.URL}, Options{Stall: short}), 1<<20)
			if !errors.Is(err, ErrStalled) || !strings.Contains(Explain(err), "too little") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestACallerMayTakeItsTime(t *testing.T) {
	const stall = 5 * short // a busy machine is no stall
	next := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, 2000))
		_ = http.NewResponseController(w).Flush()
		<-next
		_, _ = w.Write(make([]byte, 2000))
	}))
	defer server.Close()
	resp, err := client(t, config.Remote{URL: server.URL}, Options{Stall: stall}).Get(t.Context(), "", 1<<20, Validators{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 2000)); err != nil {
		t.Fatal(err)
	}
	<-time.After(2 * stall) // the caller is busy
	close(next)
	if rest, err := ReadAll(resp); err != nil || len(rest) != 2000 {
		t.Errorf("%d bytes, %v", len(rest), err)
	}
}

func TestTheContextEndsARequest(t *testing.T) {
	end := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end }))
	defer server.Close()
	defer close(end)
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	if _, err := client(t, config.Remote{URL: server.URL}, Options{}).Get(ctx, "", 100, Validators{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
