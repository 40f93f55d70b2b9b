// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package reports

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// played is a relay that serves its report over mutual TLS.
type played struct {
	server *httptest.Server

	mu      sync.Mutex
	state   report.Report
	n       int
	changed chan struct{}
}

// play starts a relay with a certificate that the CA gives it.
func play(t *testing.T, ca *testca.CA, leaf testca.Leaf, l net.Listener) *played {
	t.Helper()
	p := &played{changed: make(chan struct{})}
	roots := x509.NewCertPool()
	roots.AddCert(ca.Root)
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	if l != nil {
		p.server.Listener.Close()
		p.server.Listener = l
	}
	p.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	p.server.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Leaf(t, leaf).TLS()}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots}
	p.server.StartTLS()
	t.Cleanup(p.stop)
	p.set(func(*report.Report) {})
	return p
}

func (p *played) stop() {
	p.server.CloseClientConnections()
	p.server.Close()
}

func (p *played) set(f func(*report.Report)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	f(&p.state)
	p.state.Revision = fmt.Sprint(p.n)
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *played) serve(w http.ResponseWriter, r *http.Request) {
	for {
		p.mu.Lock()
		state, changed := p.state, p.changed
		p.mu.Unlock()
		if state.Revision != r.URL.Query().Get("since") {
			_ = json.NewEncoder(w).Encode(state)
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

const serverName = "alfa-relay-local.cert.svc"

func target(t *testing.T, ca *testca.CA, address string) Target {
	t.Helper()
	pair := ca.Leaf(t, testca.Leaf{Path: "/operator"})
	return Target{
		LocalCERT: "alfa", Address: address, ServerName: serverName, TrustDomain: ca.TrustDomain,
		CertificatePEM: pair.CertPEM, KeyPEM: pair.KeyPEM, RootsPEM: pair.CAPEM,
	}
}

// kinds are those whose objects a follower wakes.
var kinds = []Kind{LocalCERTs, PeerCERTs, SharedFeeds, Hotlines}

// follower is a hub that follows relays, and what it woke.
type follower struct {
	*Hub
	ahead atomic.Int64 // of its clock, in nanoseconds
	mu    sync.Mutex
	woken []string
}

func follow(t *testing.T, lostAfter time.Duration) *follower {
	t.Helper()
	f := &follower{}
	now := func() time.Time { return time.Now().Add(time.Duration(f.ahead.Load())) }
	f.Hub = NewHub(Config{Log: slog.New(slog.DiscardHandler), Now: now, LostAfter: lostAfter})
	f.subscribers = map[Kind][]func(string, string){}
	for _, kind := range kinds {
		f.subscribers[kind] = []func(string, string){func(namespace, name string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.woken = append(f.woken, fmt.Sprintf("%s %s/%s", kind, namespace, name))
		}}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = f.Start(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return f
}

// take returns what was woken since the last call, sorted.
func (f *follower) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.woken
	f.woken = nil
	slices.Sort(out)
	return slices.Compact(out)
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
		wait(t.Context(), 5*time.Millisecond)
	}
}
