// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/identity"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// issue writes a leaf of a CA, with a CA file that holds the roots of all cas.
func issue(t *testing.T, pair config.KeyPair, by *testca.CA, leaf testca.Leaf, cas ...*testca.CA) testca.Pair {
	t.Helper()
	p := by.Leaf(t, leaf)
	p.CAPEM = nil
	for _, ca := range cas {
		p.CAPEM = append(p.CAPEM, ca.Bundle()...)
	}
	p.WriteTo(t, filepath.Dir(pair.CertFile))
	return p
}

// Rotation issues the leaf from the new root while the CA file, and the bundle that
// peers hold, have both.
func TestOurLeafIsTakenFromEitherRootOfTheCAFile(t *testing.T) {
	for _, alg := range []testca.Algorithm{testca.ECDSA, testca.RSA, testca.Ed25519} {
		for n := range 3 {
			for _, from := range []string{"old", "new"} {
				t.Run(fmt.Sprintf("%s_leaf_of_the_%s_root_with_%d_intermediates", alg, from, n), func(t *testing.T) {
					cfg, _ := nation(t)
					soon := time.Now().Add(time.Hour)
					old := testca.New(t, "alfa.example", testca.Options{Intermediates: n, NotAfter: soon})
					next := testca.New(t, "alfa.example", testca.Options{Intermediates: n, Algorithm: alg})
					by := map[string]*testca.CA{"old": old, "new": next}[from]
					issue(t, cfg.Identity.Link, by, testca.Leaf{Path: "/relay", Algorithm: alg}, old, next)
					s := source(t, cfg, nil)
					state := s.State()
					if state.Root != cabundle.Hash(by.Root) || state.Error != "" {
						t.Errorf("State = %+v", state)
					}
					if want := cabundle.Hash(old.Root); !slices.Contains(state.Roots, want) || !slices.Contains(state.Roots, cabundle.Hash(next.Root)) {
						t.Errorf("roots %v lack one of the CA file", state.Roots)
					}
					if state.LocalSerial == "" || state.SigningSerial == "" || state.LocalSerial == state.Serial {
						t.Errorf("serials: %+v", state)
					}
				})
			}
		}
	}
}

func TestALeafThatOutlivesItsCAIsReportedByTheEndOfTheCA(t *testing.T) {
	cfg, _ := nation(t)
	end := time.Now().Add(24 * time.Hour).Truncate(time.Second)
	ca := testca.New(t, "alfa.example", testca.Options{NotAfter: end})
	issue(t, cfg.Identity.Link, ca, testca.Leaf{Path: "/relay"}, ca)
	at := time.Now()
	s := source(t, cfg, func() time.Time { return at })
	if state := s.State(); !state.NotAfter.Equal(end) || state.Error != "" {
		t.Errorf("State = %+v, want the end %s", state, end)
	}
	at = end.Add(time.Minute)
	if state := s.State(); !strings.Contains(state.Error, "expired") {
		t.Errorf("State = %+v", state)
	}
}

func TestARenewedCAWithTheSameKeyIsSeen(t *testing.T) {
	cfg, _ := nation(t)
	old, next := renewed(t)
	issue(t, cfg.Identity.Link, old, testca.Leaf{Path: "/relay"}, old, next)
	s := source(t, cfg, nil)
	if state := s.State(); state.Root != cabundle.Hash(next.Root) {
		t.Errorf("the leaf is valid under both; its root is %s, want that of the renewed CA", state.Root)
	}
}

// renewed is a CA and the same CA with a new certificate for its old key.
func renewed(t *testing.T) (old, next *testca.CA) {
	t.Helper()
	old = testca.New(t, "alfa.example", testca.Options{NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour)})
	template := *old.Root
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0)
	chain, err := old.Sign(&template, old.Root.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return old, &testca.CA{TrustDomain: old.TrustDomain, Root: chain[0]}
}

func TestTheConfiguredBundleIsWhatWeAdvertise(t *testing.T) {
	cfg, ca := nation(t)
	next := testca.New(t, "alfa.example")
	cfg.Identity.Bundle = ca.Bundle() + next.Bundle()
	s := source(t, cfg, nil)
	want := cabundle.Union([]*x509.Certificate{ca.Root, next.Root})
	if got := s.Current().Advertised(); !slices.EqualFunc(got, want, (*x509.Certificate).Equal) {
		t.Errorf("advertised %v", cabundle.Hashes(got))
	}
	if state := s.State(); state.Error != "" || len(state.Roots) != 2 {
		t.Errorf("State = %+v", state)
	}
	t.Run("without_our_own_CA_it_is_completed_and_reported", func(t *testing.T) {
		cfg.Identity.Bundle = next.Bundle()
		s := source(t, cfg, nil)
		if got := s.Current().Advertised(); !slices.EqualFunc(got, want, (*x509.Certificate).Equal) {
			t.Errorf("advertised %v", cabundle.Hashes(got))
		}
		if state := s.State(); !strings.Contains(state.Error, "identity.bundle does not hold the CA of our link certificate") {
			t.Errorf("State = %+v", state)
		}
	})
	t.Run("one_that_cannot_be_read_keeps_the_last_good_one", func(t *testing.T) {
		bad := *cfg
		bad.Identity.Bundle = "none"
		if err := s.Apply(&bad); err != nil {
			t.Fatal(err)
		}
		if got := s.Current().Advertised(); len(got) != 2 || !strings.Contains(s.State().Error, "identity.bundle") {
			t.Errorf("advertised %d, state %+v", len(got), s.State())
		}
	})
}

func TestCAFilesThatAreTooManyForPeersAreReported(t *testing.T) {
	cfg, ca := nation(t)
	cas := []*testca.CA{ca}
	for range cabundle.MaxCertificates {
		cas = append(cas, testca.New(t, "alfa.example"))
	}
	issue(t, cfg.Identity.Link, ca, testca.Leaf{Path: "/relay"}, cas...)
	s := source(t, cfg, nil)
	if got := s.Current().Advertised(); len(got) != 1 || !got[0].Equal(ca.Root) || !strings.Contains(s.State().Error, "more than 32") {
		t.Errorf("advertised %d, state %+v", len(got), s.State())
	}
}

func TestACAFileThatChangesAloneIsReloaded(t *testing.T) {
	cfg, ca := nation(t)
	next := testca.New(t, "alfa.example")
	s := source(t, cfg, nil)
	snapshots := running(t, s)
	p := cfg.Identity.Link
	pem := append([]byte(ca.Bundle()), next.Bundle()...)
	cert, err := os.ReadFile(p.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(p.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := testca.WriteVolume(filepath.Dir(p.CertFile), map[string][]byte{"tls.crt": cert, "tls.key": key, "ca.crt": pem}); err != nil {
		t.Fatal(err)
	}
	now := await(t, snapshots)
	if len(now.Advertised()) != 2 {
		t.Errorf("advertised %v", cabundle.Hashes(now.Advertised()))
	}
}

// Our own operator must reach the relay while either side still has its old
// certificate.
func TestTheLocalPortTakesClientsOfEitherRootOfItsCAFile(t *testing.T) {
	cfg, old := nation(t)
	next := testca.New(t, "alfa.example")
	issue(t, cfg.Identity.Local, old, testca.Leaf{Path: "/local"}, old, next)
	s := source(t, cfg, nil)
	for name, ca := range map[string]*testca.CA{"old": old, "new": next} {
		if _, err := s.Current().VerifyLocal(ca.Leaf(t, testca.Leaf{Path: "/operator"}).Chain); err != nil {
			t.Errorf("%s operator: %v", name, err)
		}
	}
	if _, err := s.Current().VerifyLocal(testca.New(t, "alfa.example").Leaf(t, testca.Leaf{Path: "/operator"}).Chain); err == nil {
		t.Error("a stranger is taken")
	}
}

// cert-manager writes one root into each CA file: while a rotation is under way the
// other one is in the bundle only.
func TestTheLocalPortTakesClientsOfBothRootsWhileOneReplacesTheOther(t *testing.T) {
	cfg, old := nation(t)
	next := testca.New(t, "alfa.example")
	cfg.Identity.Bundle = old.Bundle() + next.Bundle()
	now := source(t, cfg, nil).Current()
	for name, ca := range map[string]*testca.CA{"old": old, "new": next} {
		if _, err := now.VerifyLocal(ca.Leaf(t, testca.Leaf{Path: "/operator"}).Chain); err != nil {
			t.Errorf("%s operator: %v", name, err)
		}
	}
	t.Run("but_a_CA_of_its_own_stays_alone", func(t *testing.T) {
		cfg, ca := nation(t)
		alone := testca.New(t, "alfa.example")
		cfg.Identity.Bundle = ca.Bundle()
		issue(t, cfg.Identity.Local, alone, testca.Leaf{Path: "/local"}, alone)
		if _, err := source(t, cfg, nil).Current().VerifyLocal(ca.Leaf(t, testca.Leaf{Path: "/desk"}).Chain); err == nil {
			t.Error("the CA that peers know opens our local port")
		}
	})
}

// running runs a source, and tells each new snapshot.
func running(t *testing.T, s *identity.Source) <-chan *identity.Snapshot {
	t.Helper()
	snapshots := make(chan *identity.Snapshot, 8)
	s.OnChange(func(now *identity.Snapshot) { snapshots <- now })
	done := make(chan error, 1)
	ctx := t.Context()
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		if err := <-done; err != nil { // the test's context has ended
			t.Error(err)
		}
	})
	return snapshots
}

func await(t *testing.T, snapshots <-chan *identity.Snapshot) *identity.Snapshot {
	t.Helper()
	select {
	case now := <-snapshots:
		return now
	case <-time.After(time.Minute):
		t.Fatal("no new snapshot within a minute")
		return nil
	}
}
