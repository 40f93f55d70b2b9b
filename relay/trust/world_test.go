// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
	"context"
	"crypto/x509"
	"log/slog"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/store/sqlite"
	"github.com/certlink/certlink/relay/trust"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is alfa, its storage, and the CAs of bravo.
type world struct {
	t         *testing.T
	path      string
	store     store.Store
	cfg       config.Config
	alfa      *testca.CA
	old, next *testca.CA
	identity  *identity.Source
	keeper    *trust.Keeper
	stop      func()
	ahead     atomic.Int64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{
		t: t, path: filepath.Join(dir, "relay.db"),
		alfa: testca.New(t, "alfa.example"), old: testca.New(t, "bravo.example"), next: testca.New(t, "bravo.example"),
	}
	if err := w.alfa.WriteNation(dir); err != nil {
		t.Fatal(err)
	}
	pair := func(name string) config.KeyPair {
		at := func(file string) string { return filepath.Join(dir, name, file) }
		return config.KeyPair{CertFile: at("tls.crt"), KeyFile: at("tls.key"), CAFile: at("ca.crt")}
	}
	w.cfg = config.Config{
		Identity: config.Identity{TrustDomain: "alfa.example", Link: pair("relay"), Local: pair("local"), Signing: pair("signing")},
		Peers:    []config.Peer{{Name: "bravo", TrustDomain: "bravo.example", Bundle: w.old.Bundle(), State: config.Active, Rotation: config.Automatic}},
	}
	w.start(nil)
	t.Cleanup(func() { w.crash() })
	return w
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

// start starts the relay's parts on what is stored; wrap may put something before
// the store.
func (w *world) start(wrap func(store.Trust) store.Trust) {
	w.t.Helper()
	s, err := sqlite.Open(w.t.Context(), sqlite.Config{Path: w.path})
	if err != nil {
		w.t.Fatal(err)
	}
	w.store = s
	log := slog.New(slog.DiscardHandler)
	if w.identity, err = identity.New(identity.Config{Log: log}); err != nil {
		w.t.Fatal(err)
	}
	var t store.Trust = s
	if wrap != nil {
		t = wrap(s)
	}
	w.keeper, err = trust.New(w.t.Context(), trust.Config{Store: t, Identity: w.identity, Log: log, Registry: prometheus.NewRegistry(), Clock: w.now})
	if err != nil {
		w.t.Fatal(err)
	}
	w.apply(func(*config.Config) {})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.keeper.Run(ctx) }()
	w.stop = func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	}
}

// crash ends the parts as they are.
func (w *world) crash() {
	if w.stop != nil {
		w.stop()
		w.stop = nil
		_ = w.store.Close()
	}
}

func (w *world) restart() {
	w.t.Helper()
	w.crash()
	w.start(nil)
}

// apply makes a changed configuration live.
func (w *world) apply(change func(*config.Config)) {
	w.t.Helper()
	next := w.cfg
	next.Peers = slices.Clone(w.cfg.Peers)
	change(&next)
	w.cfg = next
	if err := w.identity.Apply(&next); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) base() string {
	trust, _ := w.identity.Current().PeerTrust("bravo.example")
	return trust.Base
}

func (w *world) learn(serial int64, cas ...*testca.CA) error {
	return w.keeper.Learn(w.t.Context(), "bravo.example", w.base(), roots(cas...), serial)
}

func (w *world) mustLearn(serial int64, cas ...*testca.CA) {
	w.t.Helper()
	if err := w.learn(serial, cas...); err != nil {
		w.t.Fatal(err)
	}
}

// inForce wants that exactly these CAs speak for bravo.
func (w *world) inForce(when string, cas ...*testca.CA) {
	w.t.Helper()
	got, _ := w.identity.Current().PeerTrust("bravo.example")
	if cabundle.SetHash(got.Roots) != cabundle.SetHash(roots(cas...)) {
		w.t.Errorf("%s: %v in force, want %v", when, cabundle.Hashes(got.Roots), cabundle.Hashes(roots(cas...)))
	}
}

func roots(cas ...*testca.CA) []*x509.Certificate {
	var all []*x509.Certificate
	for _, ca := range cas {
		all = append(all, ca.Root)
	}
	return all
}

func (w *world) records() trust.Page {
	w.t.Helper()
	page, err := w.keeper.Records(w.t.Context(), store.TrustQuery{Limit: store.MaxTrustRecords})
	if err != nil {
		w.t.Fatal(err)
	}
	return page
}

// recorded waits until these changes, as "what subject", follow the first n.
func (w *world) recorded(n int, want ...string) []trust.Record {
	w.t.Helper()
	var got []string
	deadline := time.Now().Add(time.Minute)
	for {
		page := w.records()
		got = nil
		for _, r := range page.Records[min(n, len(page.Records)):] {
			got = append(got, string(r.What)+" "+r.Subject)
		}
		if slices.Equal(got, want) {
			return page.Records[n:]
		}
		if time.Now().After(deadline) || len(got) > len(want) {
			w.t.Fatalf("recorded %q, want %q", got, want)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// first are the records of a first start.
var first = []string{
	"LeafChanged alfa.example", "LeafChanged alfa.example", "LeafChanged alfa.example", "RootAdded alfa.example", "PeerAdded bravo.example",
}
