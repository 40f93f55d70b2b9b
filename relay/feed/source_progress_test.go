// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/report"
)

func TestALongPullTellsHowFarItIs(t *testing.T) {
	var objects []string
	for n := range 8000 {
		objects = append(objects, indicator(n, clearID))
	}
	all := envelope(objects...)
	more := make(chan struct{})
	server := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(all)))
		_, _ = w.Write(all[:len(all)*3/4])
		_ = http.NewResponseController(w).Flush()
		<-more
		_, _ = w.Write(all[len(all)*3/4:])
	})
	goOn := sync.OnceFunc(func() { close(more) })
	t.Cleanup(goOn) // before the server is closed
	alfa := side(t, filepath.Join(t.TempDir(), "alfa.db"), http.DefaultTransport)
	alfa.Apply(fetching(bundleAt(server.URL)))
	state := func() desk.Pull {
		list, err := alfa.Pulls(t.Context(), "threats")
		if err != nil || len(list) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
		return list[0]
	}
	eventually(t, "it is on its way", func() bool { p := state(); return p.Objects >= 1000 && p.Done > p.Total/2 })
	p := state()
	if p.Feed != "threats" || p.Source != "attack" || p.Total != int64(len(all)) || p.Started.IsZero() || p.Stored < 1000 || !strings.Contains(server.URL, p.From) {
		t.Errorf("state = %+v", p)
	}
	goOn()
	eventually(t, "it has come to its end", func() bool { p := state(); return p.Started.IsZero() && p.Stored == int64(len(objects)) })
	if list, err := alfa.Pulls(t.Context(), "other"); err != nil || len(list) > 0 {
		t.Errorf("another feed has %v, %v", list, err)
	}
}

func TestProgressMovesInSteps(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		now  time.Duration
		p    progress
		want report.Progress
	}{
		{time.Minute, progress{}, report.Progress{}},
		{time.Second, progress{started: begin, objects: 5000}, report.Progress{}},
		{time.Minute, progress{started: begin, objects: 4999, done: 49, total: 100}, report.Progress{Started: begin, Objects: 2000, Percent: 40}},
		{time.Minute, progress{started: begin, objects: 1_234_567}, report.Progress{Started: begin, Objects: 1_000_000}},
		{time.Minute, progress{started: begin, objects: 9, done: 1 << 62, total: 1 << 60}, report.Progress{Started: begin, Objects: 5, Percent: 100}},
		{time.Minute, progress{started: begin}, report.Progress{Started: begin}},
	} {
		if diff := cmp.Diff(tt.want, tt.p.forReport(begin.Add(tt.now))); diff != "" {
			t.Errorf("%+v:\n%s", tt.p, diff)
		}
	}
}
