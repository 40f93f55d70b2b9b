// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package offer_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/internal/testbubble"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/offer"
)

// silence is a peer that is never reached.
type silence struct {
	mu    sync.Mutex
	tries []time.Time
}

func (s *silence) RoundTrip(*http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries = append(s.tries, time.Now())
	return nil, errors.New("nobody is there")
}

// take returns the tries since the last take.
func (s *silence) take() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	tries := s.tries
	s.tries = nil
	return tries
}

type noKeeper struct{}

func (noKeeper) Learn(context.Context, string, string, []*x509.Certificate, int64) error { return nil }
func (noKeeper) Offered(context.Context, string, []*x509.Certificate, int64) error       { return nil }
func (noKeeper) Serial(string) int64                                                     { return 0 }
func (noKeeper) Withdrawn(string) []string                                               { return nil }

// lonely runs alfa, whose peer bravo is never reached, in virtual time.
func lonely(t *testing.T, test func(t *testing.T, source *identity.Source, engine *offer.Engine, cfg *config.Config, bravo *silence)) {
	dir := t.TempDir()
	testbubble.Run(t, func(t *testing.T) {
		forever := testca.Options{NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(50, 0, 0)}
		ca, peer := testca.New(t, "alfa.example", forever), testca.New(t, "bravo.example", forever)
		if err := ca.WriteNation(dir); err != nil {
			t.Fatal(err)
		}
		pair := func(name string) config.KeyPair {
			at := func(file string) string { return filepath.Join(dir, name, file) }
			return config.KeyPair{CertFile: at("tls.crt"), KeyFile: at("tls.key"), CAFile: at("ca.crt")}
		}
		cfg := &config.Config{
			Identity: config.Identity{TrustDomain: "alfa.example", Link: pair("relay"), Local: pair("local"), Signing: pair("signing")},
			Peers:    []config.Peer{{Name: "bravo", TrustDomain: "bravo.example", Bundle: peer.Bundle(), State: config.Active}},
		}
		log := slog.New(slog.DiscardHandler)
		source, err := identity.New(identity.Config{Log: log})
		if err != nil {
			t.Fatal(err)
		}
		bravo := &silence{}
		engine, err := offer.New(offer.Config{
			Identity: source, Keeper: noKeeper{}, Client: func(string) *http.Client { return &http.Client{Transport: bravo} }, Log: log, Registry: prometheus.NewRegistry(),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := source.Apply(cfg); err != nil {
			t.Fatal(err)
		}
		engine.Apply(cfg)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- engine.Run(ctx) }()
		defer func() { cancel(); <-done }()
		test(t, source, engine, cfg, bravo)
	})
}

// nuts-node#2456: a back-off of a day went on after the certificate was mended.
func TestACredentialOrBundleThatChangesEndsTheBackOff(t *testing.T) {
	lonely(t, func(t *testing.T, source *identity.Source, engine *offer.Engine, cfg *config.Config, bravo *silence) {
		<-time.After(10 * time.Minute)
		if n := len(bravo.take()); n < 15 || n > 35 {
			t.Fatalf("%d tries in ten minutes", n)
		}
		for what, change := range map[string]func(){
			"the identity changes":      func() { _ = source.Apply(cfg) },
			"the configuration changes": func() { engine.Apply(cfg) },
			"the link comes up":         func() { engine.Wake("bravo.example") },
		} {
			<-time.After(10 * time.Minute)
			bravo.take()
			change()
			<-time.After(10 * time.Second)
			if n := len(bravo.take()); n < 3 || n > 5 {
				t.Errorf("%s: %d tries in ten seconds, want the first pauses again", what, n)
			}
		}
	})
}

func TestHeartbeatsThatNameUnknownRevisionsAskOnceForEach(t *testing.T) {
	lonely(t, func(t *testing.T, _ *identity.Source, engine *offer.Engine, _ *config.Config, bravo *silence) {
		<-time.After(10 * time.Minute)
		bravo.take()
		for range 600 {
			engine.OfferSeen("bravo.example", "0123456789abcdef")
			<-time.After(100 * time.Millisecond)
		}
		if n := len(bravo.take()); n > 8 {
			t.Errorf("%d tries in a minute for one revision", n)
		}
		for i := range 600 { // a hostile peer names another one each time
			engine.OfferSeen("bravo.example", fmt.Sprint(i))
			<-time.After(100 * time.Millisecond)
		}
		if n := len(bravo.take()); n > 60*4+8 {
			t.Errorf("%d tries in a minute", n)
		}
	})
}

func TestAPeerThatIsRemovedIsAskedNoMore(t *testing.T) {
	lonely(t, func(t *testing.T, _ *identity.Source, engine *offer.Engine, cfg *config.Config, bravo *silence) {
		<-time.After(time.Minute)
		for _, peers := range [][]config.Peer{nil, {{Name: "bravo", TrustDomain: "bravo.example", Bundle: cfg.Peers[0].Bundle, State: config.Revoked}}} {
			engine.Apply(cfg)
			<-time.After(time.Minute)
			next := *cfg
			next.Peers = peers
			engine.Apply(&next)
			synctest.Wait()
			if len(bravo.take()) == 0 {
				t.Error("a peer that is there is not asked")
			}
			<-time.After(10 * time.Minute)
			if n := len(bravo.take()); n != 0 {
				t.Errorf("%d tries to reach a peer that is gone", n)
			}
		}
	})
}
