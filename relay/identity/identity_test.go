// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nation writes alfa's certificates and returns its configuration and CA.
func nation(t *testing.T) (*config.Config, *testca.CA) {
	t.Helper()
	ca := testca.New(t, "alfa.example")
	dir := t.TempDir()
	if err := ca.WriteNation(dir); err != nil {
		t.Fatal(err)
	}
	pair := func(name string) config.KeyPair {
		at := func(file string) string { return filepath.Join(dir, name, file) }
		return config.KeyPair{CertFile: at("tls.crt"), KeyFile: at("tls.key"), CAFile: at("ca.crt")}
	}
	return &config.Config{Identity: config.Identity{
		TrustDomain: "alfa.example", Link: pair("relay"), Local: pair("local"), Signing: pair("signing"),
	}}, ca
}

func peer(name, bundle string, state config.PeerState) config.Peer {
	return config.Peer{Name: name, TrustDomain: name + ".example", Bundle: bundle, State: state}
}

func source(t *testing.T, c *config.Config, clock func() time.Time) *identity.Source {
	t.Helper()
	s, err := identity.New(identity.Config{Log: slog.New(slog.DiscardHandler), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(c); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVerifyPeer(t *testing.T) {
	cfg, _ := nation(t)
	bravo, charlie, delta := testca.New(t, "bravo.example"), testca.New(t, "charlie.example"), testca.New(t, "delta.example")
	old := testca.New(t, "old.example", testca.Options{NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour)})
	impostor := testca.New(t, "bravo.example")
	cfg.Peers = []config.Peer{
		peer("bravo", bravo.Bundle(), config.Active), peer("charlie", charlie.Bundle(), config.Suspended),
		peer("delta", delta.Bundle(), config.Revoked), peer("old", old.Bundle(), config.Active),
	}
	snapshot := source(t, cfg, nil).Current()

	relay := testca.Leaf{Path: "/relay"}
	expired := testca.Leaf{Path: "/relay", NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour)}
	for _, c := range []struct {
		name  string
		ca    *testca.CA
		leaf  testca.Leaf
		cause report.Cause
		says  string
	}{
		{"accepts_a_peer_under_its_own_bundle", bravo, relay, report.CauseNone, ""},
		{"accepts_a_suspended_peer", charlie, relay, report.CauseNone, ""},
		{"accepts_another_leaf_of_the_peer", bravo, testca.Leaf{Path: "/reader"}, report.CauseNone, ""},
		{"refuses_charlie_signed_by_bravo", bravo, testca.Leaf{Path: "/relay", TrustDomain: "charlie.example"}, report.CauseUntrusted, "does not chain"},
		{"refuses_our_own_name_signed_by_bravo", bravo, testca.Leaf{Path: "/relay", TrustDomain: "alfa.example"}, report.CauseUntrusted, "no peer of ours"},
		{"refuses_another_CA_of_the_same_name", impostor, relay, report.CauseUntrusted, "does not chain"},
		{"refuses_a_revoked_peer", delta, relay, report.CauseUntrusted, "Revoked by our side"},
		{"refuses_a_stranger", testca.New(t, "echo.example"), relay, report.CauseUntrusted, "no peer of ours"},
		{"refuses_an_expired_leaf", bravo, expired, report.CauseExpired, "must renew it"},
		{"refuses_a_leaf_from_the_future", bravo, testca.Leaf{Path: "/relay", NotBefore: time.Now().Add(time.Hour)}, report.CauseExpired, "clocks"},
		{"refuses_an_expired_bundle", old, relay, report.CauseExpired, "new card"},
		{"refuses_a_leaf_without_an_identity", bravo, testca.Leaf{}, report.CauseTrustDomain, "no SPIFFE ID"},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, p, err := snapshot.VerifyPeer(c.ca.Leaf(t, c.leaf).Chain)
			if c.cause == report.CauseNone {
				if err != nil || p.TrustDomain != id.TrustDomain().Name() {
					t.Fatalf("VerifyPeer = %v, %q, %v", id, p.Name, err)
				}
				return
			}
			refused, ok := errors.AsType[*identity.VerifyError](err)
			if !ok {
				t.Fatalf("err = %v, want a VerifyError", err)
			}
			if refused.Cause != c.cause || !strings.Contains(refused.Reason, c.says) {
				t.Errorf("refused as %q: %s", refused.Cause, refused.Reason)
			}
		})
	}
	t.Run("refuses_the_identity_of_a_certificate_behind_the_leaf", func(t *testing.T) {
		stray := testca.New(t, "echo.example").Leaf(t, relay)
		good := bravo.Leaf(t, relay)
		if _, _, err := snapshot.VerifyPeer(append([]*x509.Certificate{stray.Chain[0]}, good.Chain...)); err == nil {
			t.Error("accepted")
		}
	})
}

func TestVerifyPeerAcceptsEveryKindOfAuthority(t *testing.T) {
	for _, alg := range []testca.Algorithm{testca.ECDSA, testca.RSA, testca.Ed25519} {
		for n := range 3 {
			t.Run(fmt.Sprintf("%s_with_%d_intermediates", alg, n), func(t *testing.T) {
				cfg, _ := nation(t)
				bravo := testca.New(t, "bravo.example", testca.Options{Algorithm: alg, Intermediates: n})
				cfg.Peers = []config.Peer{peer("bravo", bravo.Bundle(), config.Active)}
				snapshot := source(t, cfg, nil).Current()
				if _, _, err := snapshot.VerifyPeer(bravo.Leaf(t, testca.Leaf{Path: "/relay", Algorithm: alg}).Chain); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestApplyRefusesFilesThatDoNotHoldTogether(t *testing.T) {
	other := testca.New(t, "bravo.example")
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, cfg *config.Config, ca *testca.CA)
		says  string
	}{
		{"key_of_another_certificate", func(_ *testing.T, cfg *config.Config, _ *testca.CA) {
			cfg.Identity.Link.KeyFile = cfg.Identity.Local.KeyFile
		}, "pairing the link certificate"},
		{"certificate_of_another_purpose", func(_ *testing.T, cfg *config.Config, _ *testca.CA) { cfg.Identity.Link = cfg.Identity.Local }, "not for spiffe://alfa.example/relay"},
		{"certificate_of_another_CERT", func(t *testing.T, cfg *config.Config, _ *testca.CA) {
			other.Leaf(t, testca.Leaf{Path: "/relay"}).WriteTo(t, filepath.Dir(cfg.Identity.Link.CertFile))
		}, "it is for spiffe://bravo.example/relay"},
		{"chain_that_does_not_end_in_the_CA_file", func(t *testing.T, cfg *config.Config, ca *testca.CA) {
			p := ca.Leaf(t, testca.Leaf{Path: "/relay"})
			p.CAPEM = []byte(other.Bundle())
			p.WriteTo(t, filepath.Dir(cfg.Identity.Link.CertFile))
		}, "verifying it against the CA file"},
		{"signing_key_that_is_not_Ed25519", func(t *testing.T, cfg *config.Config, ca *testca.CA) {
			ca.Leaf(t, testca.Leaf{Path: "/signing", Algorithm: testca.ECDSA}).WriteTo(t, filepath.Dir(cfg.Identity.Signing.CertFile))
		}, "not Ed25519"},
		{"file_that_is_not_there", func(t *testing.T, cfg *config.Config, _ *testca.CA) {
			if err := os.Remove(cfg.Identity.Local.CAFile); err != nil {
				t.Fatal(err)
			}
		}, "reading the local CA"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, ca := nation(t)
			c.spoil(t, cfg, ca)
			s, err := identity.New(identity.Config{Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			err = s.Apply(cfg)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("err = %v, want one that says %q", err, c.says)
			}
			if err != nil && strings.Contains(err.Error(), "PRIVATE") {
				t.Errorf("the error shows key material: %v", err)
			}
		})
	}
}

func TestRunReloadsARenewedCertificateAndKeepsTheLastGoodOne(t *testing.T) {
	cfg, ca := nation(t)
	s := source(t, cfg, nil)
	snapshots := make(chan *identity.Snapshot, 8)
	s.OnChange(func(now *identity.Snapshot) { snapshots <- now })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	dir := filepath.Dir(cfg.Identity.Link.CertFile)

	renewed := ca.Leaf(t, testca.Leaf{Path: "/relay"})
	renewed.WriteTo(t, dir)
	want := renewed.Chain[0].SerialNumber.Text(16)
	select {
	case now := <-snapshots:
		if now.LinkSerial() != want {
			t.Fatalf("serial = %s, want %s", now.LinkSerial(), want)
		}
	case <-time.After(time.Minute):
		t.Fatal("no new snapshot within a minute")
	}

	ca.Leaf(t, testca.Leaf{Path: "/relay", NotAfter: time.Now().Add(-time.Minute)}).WriteTo(t, dir)
	deadline := time.Now().Add(time.Minute)
	for s.State().Error == "" {
		if time.Now().After(deadline) {
			t.Fatal("the refused files are not reported within a minute")
		}
	}
	if state := s.State(); state.Serial != want || !strings.Contains(state.Error, "expired") {
		t.Errorf("State = %+v", state)
	}
}

// A certificate authority whose clock is ahead of ours dates certificates into our future.
func TestRunTakesACertificateFromTheFutureOnceItIsValid(t *testing.T) {
	cfg, ca := nation(t)
	var ahead atomic.Int64
	s := source(t, cfg, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	eventually := func(what string, ok func(report.IdentityState) bool) {
		t.Helper()
		deadline := time.After(time.Minute)
		for !ok(s.State()) {
			select {
			case <-deadline:
				t.Fatalf("not within a minute: %s: %+v", what, s.State())
			case <-time.After(10 * time.Millisecond):
			}
		}
	}

	renewed := ca.Leaf(t, testca.Leaf{Path: "/relay", NotBefore: time.Now().Add(time.Hour)})
	renewed.WriteTo(t, filepath.Dir(cfg.Identity.Link.CertFile))
	eventually("it is reported", func(now report.IdentityState) bool { return strings.Contains(now.Error, "valid only from") })
	ahead.Store(int64(2 * time.Hour))
	eventually("it is taken", func(now report.IdentityState) bool {
		return now.Serial == renewed.Chain[0].SerialNumber.Text(16) && now.Error == ""
	})
}

func TestStateSaysThatTheOnlyCertificateHasExpired(t *testing.T) {
	cfg, ca := nation(t)
	ca.Leaf(t, testca.Leaf{Path: "/relay", NotAfter: time.Now().Add(-time.Minute)}).WriteTo(t, filepath.Dir(cfg.Identity.Link.CertFile))
	if state := source(t, cfg, nil).State(); !strings.Contains(state.Error, "renew it") || state.Serial == "" {
		t.Errorf("State = %+v", state)
	}
}
