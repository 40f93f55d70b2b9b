// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package reporter_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/reporter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// parts play the relay.
type parts struct {
	mu    sync.Mutex
	peers []report.Peer
	err   error
}

func (p *parts) set(f func(*parts)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p)
}

func (p *parts) list(context.Context) ([]report.Peer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]report.Peer(nil), p.peers...), p.err
}

func setup(t *testing.T) (*reporter.Reporter, *parts) {
	t.Helper()
	p := &parts{peers: []report.Peer{{Name: "bravo", Paths: []report.PathState{{Address: "b:1", RoundTripMilliseconds: 1}}}}}
	r, err := reporter.New(reporter.Config{
		Live:     func() report.ConfigState { return report.ConfigState{Checksum: "c"} },
		Identity: func() report.IdentityState { return report.IdentityState{Serial: "1"} },
		Peers:    p.list,
		Services: func(context.Context) ([]report.Service, error) { return []report.Service{{Name: "web"}}, nil },
		Complete: []func(*report.Peer){
			func(p *report.Peer) { p.Offer = &report.Offer{State: "Active"} },
			func(p *report.Peer) { p.Offer.Release = "after " + p.Offer.State },
		},
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	return r, p
}

// get asks for the report and says how long the answer took.
func get(t *testing.T, r http.Handler, since string) (int, report.Report, time.Duration) {
	t.Helper()
	begun := time.Now()
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, report.Path+"?since="+since, http.NoBody))
	var got report.Report
	if w.Code == http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
	}
	return w.Code, got, time.Since(begun)
}

func sleep(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // the clock of the bubble
	synctest.Wait()
}

func TestAnAnnouncedChangeIsToldAtOnce(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		r, p := setup(t)
		_, first, _ := get(t, r, "")
		go func() {
			sleep(time.Second)
			p.set(func(p *parts) { p.peers[0].Outbound.State = report.Up })
			r.Changed()
		}()
		status, next, took := get(t, r, first.Revision)
		if status != http.StatusOK || next.Revision == first.Revision || next.Peers[0].Outbound.State != report.Up {
			t.Errorf("%d %+v", status, next)
		}
		if took > 1100*time.Millisecond {
			t.Errorf("told after %s", took)
		}
	})
}

func TestAChangeThatNobodyAnnouncedIsFound(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		r, p := setup(t)
		_, first, _ := get(t, r, "")
		p.set(func(p *parts) { p.peers[0].Outbound.State = report.Down })
		if status, _, took := get(t, r, first.Revision); status != http.StatusOK || took > 5*time.Second {
			t.Errorf("%d after %s", status, took)
		}
	})
}

func TestRoundTripsDoNotChangeTheRevisionButAreShown(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		r, p := setup(t)
		_, first, _ := get(t, r, "")
		p.set(func(p *parts) {
			p.peers = []report.Peer{{Name: "bravo", Paths: []report.PathState{{Address: "b:1", RoundTripMilliseconds: 99}}}}
		})
		r.Changed()
		status, _, took := get(t, r, first.Revision)
		if status != http.StatusNotModified || took != report.MaxWait {
			t.Errorf("%d after %s", status, took)
		}
		if _, now, _ := get(t, r, ""); now.Revision != first.Revision || now.Peers[0].Paths[0].RoundTripMilliseconds != 99 {
			t.Errorf("%+v", now)
		}
	})
}

func TestAPartThatCannotAnswerIsAbsent(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		r, p := setup(t)
		p.set(func(p *parts) { p.err = errors.New("broken") })
		r.Changed()
		sleep(time.Second)
		if _, now, _ := get(t, r, ""); len(now.Peers) != 0 || now.Config.Checksum != "c" {
			t.Errorf("%+v", now)
		}
	})
}

func TestABurstOfChangesIsOneRevision(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		r, p := setup(t)
		sleep(time.Second)
		looked := 0
		for range 1000 {
			p.set(func(p *parts) { p.peers[0].Inbound.Message += "x" })
			r.Changed()
			time.Sleep(100 * time.Microsecond) //nolint:forbidigo // the clock of the bubble
		}
		for revision := ""; ; {
			status, now, _ := get(t, r, revision)
			if status != http.StatusOK {
				break
			}
			revision, looked = now.Revision, looked+1
		}
		if looked > 3 {
			t.Errorf("%d revisions were told at the end", looked)
		}
	})
}

func TestWaitersAreBoundedAndEndWithTheReporter(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		r, _ := setup(t)
		_, first, _ := get(t, r, "")
		codes := make(chan int, 100)
		for range 100 {
			go func() {
				w := httptest.NewRecorder()
				r.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, report.Path+"?since="+first.Revision, http.NoBody))
				codes <- w.Code
			}()
		}
		synctest.Wait()
		if n := len(codes); n != 36 {
			t.Errorf("%d of 100 were sent away at once, want 36", n)
		}
		for range len(codes) {
			if code := <-codes; code != http.StatusServiceUnavailable {
				t.Errorf("status %d", code)
			}
		}
		sleep(report.MaxWait)
		for range 64 {
			if code := <-codes; code != http.StatusNotModified {
				t.Errorf("status %d", code)
			}
		}
	})
}

func TestOtherPartsCompleteAPeerInTheirOrder(t *testing.T) {
	testbubble.Run(t, func(t *testing.T) {
		r, _ := setup(t)
		_, got, _ := get(t, r, "")
		if len(got.Peers) != 1 || got.Peers[0].Offer == nil || got.Peers[0].Offer.Release != "after Active" || len(got.Services) != 1 {
			t.Errorf("report %+v", got)
		}
	})
}
