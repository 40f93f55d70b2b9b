// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	heapmetrics "runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certlink/certlink/relay/taxii"
)

// flat is how much the heap may grow while a hostile page is read: a chunk of 4 MiB,
// an object of 1 MiB, buffers, and what the collector has not come to yet.
const flat = 32 << 20

// hostile is a TAXII server over TLS whose pages are whatever a test says.
func hostile(t *testing.T, objects http.HandlerFunc) http.RoundTripper {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/taxii2/", func(w http.ResponseWriter, _ *http.Request) { page(w, "", `{"title":"x","api_roots":["/root/"]}`) })
	mux.HandleFunc("/root/collections/", func(w http.ResponseWriter, _ *http.Request) {
		page(w, "", `{"collections":[{"id":"c1","alias":"threats","title":"x","can_read":true,"can_write":false}]}`)
	})
	mux.HandleFunc("/root/collections/c1/objects/", objects)
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	transport := server.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.ServerName = "example.com" // as the certificate has it
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// repeat writes a text many times without holding it all.
func repeat(w io.Writer, text string, total int64) {
	if total == 0 {
		return
	}
	block := []byte(strings.Repeat(text, 64<<10/len(text)))
	for total > 0 {
		n, err := w.Write(block[:min(int64(len(block)), total)])
		if err != nil {
			return // the client has given up
		}
		total -= int64(n)
	}
}

// sending answers with a page that begins and ends as given and repeats a text in between.
func sending(begin, text string, total int64, end string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("next") {
			page(w, "", `{}`)
			return
		}
		w.Header().Set("Content-Type", taxii.MediaType)
		_, _ = io.WriteString(w, begin)
		repeat(w, text, total)
		_, _ = io.WriteString(w, end)
	}
}

// squeezed answers with gzip, which the transport takes off by itself. What repeats is squeezed once, and sent
// as many members of the stream (RFC 1952, 2.2).
func squeezed(begin, text string, total int64, end string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			http.Error(w, "no gzip", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", taxii.MediaType)
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(member(begin, "", 0))
		for many := member("", text, mebi); total >= mebi; total -= mebi {
			if _, err := w.Write(many); err != nil {
				return // the client has given up
			}
		}
		_, _ = w.Write(member("", text, total))
		_, _ = w.Write(member(end, "", 0))
	}
}

// member is one of a stream of gzip.
func member(begin, text string, total int64) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, begin)
	repeat(z, text, total)
	_ = z.Close()
	return b.Bytes()
}

// heap watches the largest heap until it is stopped.
func heap() (stop func() (growth int64)) {
	const name = "/memory/classes/heap/objects:bytes"
	read := func() int64 {
		sample := []heapmetrics.Sample{{Name: name}}
		heapmetrics.Read(sample)
		return int64(sample[0].Value.Uint64())
	}
	runtime.GC()
	base, largest := read(), atomic.Int64{}
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				largest.Store(max(largest.Load(), read()))
			}
		}
	})
	return func() int64 {
		close(done)
		watching.Wait()
		return largest.Load() - base
	}
}

const (
	mebi      = 1 << 20
	notTAXII  = "what alfa answers is not TAXII 2.1 as it must be"
	goodEnd   = `]}`
	firstObj  = `{"objects":[`
	noTrouble = ""
)

// TestHostilePages: each ends in an error with a name, or costs the one object that is
// bad, and none costs memory.
func TestHostilePages(t *testing.T) {
	good := indicator(1)
	var cursors atomic.Int64
	circle := func(w http.ResponseWriter, _ *http.Request) {
		page(w, "", fmt.Sprintf(`{"more":true,"next":"%d","objects":[%s]}`, cursors.Add(1)%7, good))
	}
	endless := func(w http.ResponseWriter, _ *http.Request) {
		page(w, "", fmt.Sprintf(`{"more":true,"next":"n%d"}`, cursors.Add(1)))
	}
	for name, tt := range map[string]struct {
		page            http.HandlerFunc
		stored, refused int64
		err             string
	}{
		"an_object_nested_a_million_deep":    {sending(firstObj+`{"x":`, "[", mebi, strings.Repeat("]", mebi)+`},`+good+goodEnd), 1, 1, noTrouble},
		"an_object_nested_and_never_closed":  {sending(firstObj+`{"x":`, "[", 64*mebi, ""), 0, 0, "cut before its end"},
		"an_envelope_nested_a_million_deep":  {sending(`{"x":`, "[", mebi, strings.Repeat("]", mebi)+`}`), 0, 0, notTAXII},
		"a_string_of_128_MiB":                {sending(firstObj+`{"x":"`, "x", 128*mebi, `"},`+good+goodEnd), 1, 1, noTrouble},
		"a_string_of_128_MiB_of_escapes":     {sending(firstObj+`{"x":"`, `\"`, 128*mebi, `"},`+good+goodEnd), 1, 1, noTrouble},
		"a_member_of_64_MiB_in_the_envelope": {sending(`{"x":"`, "x", 64*mebi, `"}`), 0, 0, notTAXII},
		"a_name_of_64_MiB_in_the_envelope":   {sending(`{"`, "x", 64*mebi, `":1}`), 0, 0, notTAXII},
		"a_crowd_of_objects_that_are_none":   {sending(firstObj, "{},", 3<<18, `{}`+goodEnd), 0, 1<<18 + 1, noTrouble},
		"white_space_of_128_MiB":             {sending(firstObj, " ", 128*mebi, good+goodEnd), 1, 0, noTrouble},
		"duplicate_names_in_an_object":       {sending(firstObj+`{"id":"x","id":"y"},`, "", 0, good+goodEnd), 1, 1, noTrouble},
		"duplicate_names_in_the_envelope":    {sending(`{"objects":[],`, "", 0, `"objects":[]}`), 0, 0, notTAXII},
		"invalid_UTF-8_in_an_object":         {sending(firstObj+"{\"x\":\"\xff\xfe\"},", "", 0, good+goodEnd), 1, 1, noTrouble},
		"invalid_UTF-8_in_the_cursor":        {sending("{\"next\":\"\xff\"}", "", 0, ""), 0, 0, notTAXII},
		"a_cursor_of_64_KiB":                 {sending(`{"more":true,"next":"`, "n", 64<<10-3, `"}`), 0, 0, notTAXII},
		"a_cursor_that_is_an_object":         {sending(`{"more":true,"next":{}}`, "", 0, ""), 0, 0, notTAXII},
		"more_that_is_a_number":              {sending(`{"more":1}`, "", 0, ""), 0, 0, notTAXII},
		"objects_that_are_a_string":          {sending(`{"objects":"x"}`, "", 0, ""), 0, 0, notTAXII},
		"objects_of_every_wrong_type":        {sending(firstObj+`1,"x",null,true,[],{},{"id":5},{"id":"x","type":7},`, "", 0, good+goodEnd), 1, 8, noTrouble},
		"cursors_in_a_circle":                {circle, 1, 0, "does not move on"},
		"more_and_more_of_nothing":           {endless, 0, 0, "does not move on"},
		"a_page_beyond_a_gibibyte":           {sending(firstObj+`{"x":"`, "x", 1<<30+mebi, `"}`+goodEnd), 0, 0, "longer than 1073741824 bytes"},
		"a_gzip_bomb_of_a_gibibyte":          {squeezed(firstObj+`{"x":"`, "0", 1<<30+mebi, `"}`+goodEnd), 0, 0, "longer than 1073741824 bytes"},
		"a_gzip_bomb_before_a_good_object":   {squeezed(firstObj+`{"x":"`, "0", 128*mebi, `"},`+good+goodEnd), 1, 1, noTrouble},
	} {
		t.Run(name, func(t *testing.T) {
			stop := heap()
			bravo := side(t, filepath.Join(t.TempDir(), "bravo.db"), hostile(t, tt.page))
			conf := bravoConfig()
			conf.Imports[0].IntervalSeconds = 3600
			bravo.Apply(conf)
			patiently(t, "the first pull ends", func() bool { i := importOf(t, bravo); return !i.LastSuccess.IsZero() || !i.Failing.IsZero() })
			got := importOf(t, bravo)
			bravo.end()
			growth := stop()
			t.Logf("the heap grew by %d MiB", growth>>20)
			if growth > flat {
				t.Errorf("that is more than %d MiB", flat>>20)
			}
			if got.Stored != tt.stored || got.Refused != tt.refused {
				t.Errorf("stored %d, refused %d, want %d and %d", got.Stored, got.Refused, tt.stored, tt.refused)
			}
			if tt.err == noTrouble && got.Error != "" || !strings.Contains(got.Error, tt.err) || len(got.Error) > 600 {
				t.Errorf("error = %q, want %q in it", got.Error, tt.err)
			}
		})
	}
}

// patiently is eventually for what takes a gibibyte on a busy machine.
func patiently(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Minute); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("in 10 minutes it did not come about that %s", what)
		}
	}
}
