// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package check_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// only returns the one address of a check.
func (n *nation) only(t *testing.T, peer string) desk.EndpointCheck {
	t.Helper()
	seen, err := n.checker.Check(t.Context(), peer)
	if err != nil {
		t.Fatal(err)
	}
	if len(seen.Endpoints) != 1 || len(seen.Trusts) != 1 || seen.CheckedAt.IsZero() {
		t.Fatalf("Check = %+v", seen)
	}
	return seen.Endpoints[0]
}

func TestCheckNamesTheLayerThatFails(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, alfa, bravo *nation)
		fails desk.Layer
		says  string
	}{
		{"all_well", func(*testing.T, *nation, *nation) {}, "", ""},
		{"a_name_that_does_not_resolve", func(t *testing.T, alfa, _ *nation) { alfa.looksAt(t, "relay.bravo.invalid:8443") }, desk.LayerName, "relay.bravo.invalid"},
		{"a_port_that_is_closed", func(t *testing.T, alfa, _ *nation) { alfa.looksAt(t, closed(t)) }, desk.LayerPort, "connection refused"},
		{"a_plain_HTTP_server", func(t *testing.T, alfa, _ *nation) {
			alfa.looksAt(t, web(t, func(s *httptest.Server) { s.Start() }))
		}, desk.LayerTLS, "does not speak TLS"},
		{"a_server_of_TLS_1_2", func(t *testing.T, alfa, _ *nation) {
			alfa.looksAt(t, web(t, func(s *httptest.Server) {
				s.TLS = &tls.Config{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12}
				s.StartTLS()
			}))
		}, desk.LayerTLS, "broke off the TLS handshake"},
		{"a_web_server_with_its_own_certificate", func(t *testing.T, alfa, _ *nation) {
			alfa.looksAt(t, web(t, func(s *httptest.Server) { s.StartTLS() }))
		}, desk.LayerProtocol, "does not speak this version of the link"},
		{"another_trust_domain", func(t *testing.T, alfa, bravo *nation) {
			alfa.change(t, func(p *config.Peer) {
				p.TrustDomain, p.Bundle = "charlie.example", testca.New(t, "charlie.example").Bundle()
			})
		}, desk.LayerTrustDomain, `trust domain "bravo.example", not "charlie.example"`},
		{"a_wrong_bundle", func(t *testing.T, alfa, _ *nation) {
			alfa.change(t, func(p *config.Peer) { p.Bundle = testca.New(t, "bravo.example").Bundle() })
		}, desk.LayerChain, "does not chain to our bundle"},
		{"an_expired_leaf", func(t *testing.T, alfa, bravo *nation) {
			bravo.shows(t, testca.Leaf{Path: "/relay", NotAfter: time.Now().Add(time.Minute)})
			alfa.ahead.Store(int64(time.Hour))
		}, desk.LayerClock, "the peer must renew it, or one of the two clocks is wrong"},
		{"an_expired_leaf_and_a_wrong_bundle", func(t *testing.T, alfa, bravo *nation) {
			bravo.shows(t, testca.Leaf{Path: "/relay", NotAfter: time.Now().Add(time.Minute)})
			alfa.ahead.Store(int64(time.Hour))
			alfa.change(t, func(p *config.Peer) { p.Bundle = testca.New(t, "bravo.example").Bundle() })
		}, desk.LayerChain, "valid only from"},
		{"a_clock_that_is_ahead", func(_ *testing.T, alfa, bravo *nation) {
			// Clocks that stand see a round trip of no time, however slow the machine is.
			now := time.Now()
			alfa.stopped.Store(&now)
			bravo.stopped.Store(&now)
			bravo.ahead.Store(int64(time.Minute))
		}, desk.LayerClock, "1m0s ahead of ours"},
		{"a_peer_that_does_not_know_us", func(t *testing.T, _, bravo *nation) {
			bravo.cfg.Peers, bravo.cfg.Hotlines = nil, nil
			bravo.apply(t)
		}, desk.LayerProtocol, "refused our certificate"},
		{"a_peer_without_a_hotline_to_us", func(t *testing.T, _, bravo *nation) {
			bravo.cfg.Hotlines = nil
			bravo.apply(t)
		}, desk.LayerProtocol, "ask the peer for a Hotline to us"},
		{"a_peer_that_has_suspended_us", func(t *testing.T, _, bravo *nation) {
			bravo.change(t, func(p *config.Peer) { p.State = config.Suspended })
		}, desk.LayerProtocol, "whether it has suspended us"},
	} {
		t.Run(c.name, func(t *testing.T) {
			alfa, bravo := meet(t)
			c.spoil(t, alfa, bravo)
			got := alfa.only(t, "bravo")
			if got.Fails != c.fails {
				t.Errorf("fails %q, want %q", got.Fails, c.fails)
			}
			for _, l := range got.Layers {
				if l.Layer == c.fails && !strings.Contains(l.Fault, c.says) {
					t.Errorf("%s says %q, want %q", l.Layer, l.Fault, c.says)
				}
			}
			if t.Failed() {
				t.Logf("%+v", got)
			}
		})
	}
}

func TestCheckSaysWhatItSaw(t *testing.T) {
	alfa, bravo := meet(t)
	seen, err := alfa.checker.Check(t.Context(), "bravo")
	if err != nil {
		t.Fatal(err)
	}
	got := seen.Endpoints[0]
	if got.Remote != bravo.address || got.Subject != "spiffe://bravo.example/relay" || got.TLSVersion != "TLS 1.3" || got.Group != "X25519MLKEM768" {
		t.Errorf("saw %+v", got)
	}
	if got.Issuer != seen.Trusts[0] || got.NotAfter.Before(time.Now()) {
		t.Errorf("issuer %q of %q, notAfter %s", got.Issuer, seen.Trusts, got.NotAfter)
	}
	if got.OffsetMilliseconds == nil || *got.OffsetMilliseconds > 1000 || *got.OffsetMilliseconds < -1000 || got.RoundTripMilliseconds <= 0 {
		t.Errorf("offset %v, round trip %v", got.OffsetMilliseconds, got.RoundTripMilliseconds)
	}
	for _, l := range got.Layers {
		if l.State != desk.LayerOK || l.Saw == "" {
			t.Errorf("%+v", l)
		}
	}
}

func TestCheckLooksAtEveryAddress(t *testing.T) {
	alfa, _ := meet(t)
	alfa.change(t, func(p *config.Peer) {
		p.Endpoints = append([]config.Endpoint{{Address: closed(t), Label: "old"}}, p.Endpoints...)
	})
	seen, err := alfa.checker.Check(t.Context(), "bravo")
	if err != nil {
		t.Fatal(err)
	}
	if len(seen.Endpoints) != 2 || seen.Endpoints[0].Fails != desk.LayerPort || seen.Endpoints[0].Label != "old" || seen.Endpoints[1].Fails != "" {
		t.Errorf("%+v", seen.Endpoints)
	}
}

func TestCheckRefusesWhatItCannotLookAt(t *testing.T) {
	for _, c := range []struct {
		name, peer string
		spoil      func(*config.Peer)
		says       string
	}{
		{"an_unknown_peer", "charlie", func(*config.Peer) {}, "no peer of this name"},
		{"a_revoked_peer", "bravo", func(p *config.Peer) { p.State = config.Revoked }, "is Revoked by our side"},
		{"a_peer_that_dials_us_and_is_not_there", "bravo", func(p *config.Peer) { p.Endpoints, p.TrustDomain = nil, "charlie.example" }, "no connection to us now"},
	} {
		t.Run(c.name, func(t *testing.T) {
			alfa, _ := meet(t)
			alfa.change(t, c.spoil)
			_, err := alfa.checker.Check(t.Context(), c.peer)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("err = %v, want %q", err, c.says)
			}
			if unknown := c.peer != "bravo"; errors.Is(err, store.ErrNotFound) != unknown {
				t.Errorf("err = %v", err)
			}
		})
	}
}

func TestAPeerThatDialsUsIsCheckedOverItsConnection(t *testing.T) {
	alfa, bravo := meet(t)
	alfa.change(t, func(p *config.Peer) { p.Endpoints = nil })
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	dials := func(at link.Path) bool { return at.Accepted }
	for deadline := time.Now().Add(time.Minute); !slices.ContainsFunc(alfa.pool.Paths("bravo.example"), dials); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("bravo does not dial")
		}
	}
	got := alfa.only(t, "bravo")
	if got.Fails != "" || got.Address != alfa.address || got.Label == "" || got.Subject != "spiffe://bravo.example/relay" || got.OffsetMilliseconds == nil {
		t.Errorf("%+v", got)
	}
	t.Run("and_what_it_does_not_let_in_is_named", func(t *testing.T) {
		bravo.cfg.Hotlines = nil
		bravo.apply(t)
		if got := alfa.only(t, "bravo"); got.Fails != desk.LayerProtocol {
			t.Errorf("%+v", got)
		}
	})
}

func TestOneCheckOfAPeerRunsAtATime(t *testing.T) {
	alfa, _ := meet(t)
	arrived, goOn := make(chan struct{}), make(chan struct{})
	alfa.inspecting = func() {
		arrived <- struct{}{}
		<-goOn
	}
	first := make(chan error, 1)
	go func() {
		_, err := alfa.checker.Check(t.Context(), "bravo")
		first <- err
	}()
	<-arrived
	if _, err := alfa.checker.Check(t.Context(), "bravo"); !errors.Is(err, desk.ErrBusy) {
		t.Errorf("err = %v", err)
	}
	close(goOn)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// closed is an address where nothing listens.
func closed(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return l.Addr().String()
}

// web is a server that is no relay.
func web(t *testing.T, start func(*httptest.Server)) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") }))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	start(s)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}
