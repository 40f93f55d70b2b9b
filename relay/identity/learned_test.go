// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/identity"
)

// rotating is bravo with an old and a new CA.
type rotating struct {
	old, next *testca.CA
	base      string // names the configured bundle
}

func newRotating(t *testing.T) rotating {
	t.Helper()
	r := rotating{old: testca.New(t, "bravo.example"), next: testca.New(t, "bravo.example")}
	r.base = cabundle.SetHash([]*x509.Certificate{r.old.Root})
	return r
}

func (r rotating) leaf(t *testing.T, ca *testca.CA) []*x509.Certificate {
	t.Helper()
	return ca.Leaf(t, testca.Leaf{Path: "/relay"}).Chain
}

func learned(base string, cas ...*testca.CA) identity.Learned {
	l := identity.Learned{TrustDomain: "bravo.example", Base: base, At: time.Now()}
	for _, ca := range cas {
		l.Bundle += ca.Bundle()
	}
	return l
}

func mustLearn(t *testing.T, s *identity.Source, l identity.Learned) {
	t.Helper()
	if err := s.Learn(l); err != nil {
		t.Fatal(err)
	}
}

// judge says what becomes of a chain: accepted, retired or cut.
func judge(s *identity.Source, chain []*x509.Certificate) string {
	now := s.Current()
	_, _, err := now.VerifyPeer(chain)
	switch retired := now.Retired(chain); {
	case err == nil && retired:
		return "both"
	case err == nil:
		return "accepted"
	case retired:
		return "retired"
	}
	return "cut"
}

func expectJudged(t *testing.T, s *identity.Source, when string, chain []*x509.Certificate, want string) {
	t.Helper()
	if got := judge(s, chain); got != want {
		t.Errorf("%s: it is %s, want %s", when, got, want)
	}
}

func TestALearnedBundleReplacesTheOneItBuildsOn(t *testing.T) {
	cfg, _ := nation(t)
	r := newRotating(t)
	cfg.Peers = []config.Peer{peer("bravo", r.old.Bundle(), config.Active)}
	s := source(t, cfg, nil)
	oldLeaf, newLeaf := r.leaf(t, r.old), r.leaf(t, r.next)
	expectJudged(t, s, "a leaf of the next root before it is known", newLeaf, "cut")

	mustLearn(t, s, learned(r.base, r.old, r.next))
	expectJudged(t, s, "the old leaf under both roots", oldLeaf, "accepted")
	expectJudged(t, s, "the new leaf under both roots", newLeaf, "accepted")
	trust, _ := s.Current().PeerTrust("bravo.example")
	if !trust.Learned || len(trust.Roots) != 2 || trust.Base != r.base || len(trust.BaseRoots) != 1 {
		t.Errorf("trust is %+v", trust)
	}

	mustLearn(t, s, learned(r.base, r.next))
	expectJudged(t, s, "the old leaf after its root was retired", oldLeaf, "retired")
	expectJudged(t, s, "the new leaf at the end", newLeaf, "accepted")
	trust, _ = s.Current().PeerTrust("bravo.example")
	if len(trust.Retired) != 1 || !trust.Retired[0].Root.Equal(r.old.Root) || trust.Retired[0].At.IsZero() {
		t.Errorf("retired: %+v", trust.Retired)
	}

	mustLearn(t, s, learned(r.base, r.old, r.next))
	expectJudged(t, s, "the old leaf when its root comes back", oldLeaf, "accepted")
}

func TestAChangedBaseWinsOverWhatWasLearned(t *testing.T) {
	cfg, _ := nation(t)
	r := newRotating(t)
	other := testca.New(t, "bravo.example")
	cfg.Peers = []config.Peer{peer("bravo", r.old.Bundle(), config.Active)}
	s := source(t, cfg, nil)
	mustLearn(t, s, learned(r.base, r.old, r.next))

	apply(t, s, cfg, func(p *config.Peer) { p.Bundle = "# a comment\n" + p.Bundle })
	expectJudged(t, s, "the same bundle written otherwise", r.leaf(t, r.next), "accepted")

	apply(t, s, cfg, func(p *config.Peer) { p.Bundle = other.Bundle() })
	expectJudged(t, s, "another base", r.leaf(t, r.next), "cut")
	expectJudged(t, s, "another base", r.leaf(t, other), "accepted")
	if err := s.Learn(learned(r.base, r.old, r.next)); !errors.Is(err, identity.ErrBase) {
		t.Errorf("learning under the base of before: %v", err)
	}

	apply(t, s, cfg, func(p *config.Peer) { p.Bundle = r.old.Bundle() })
	expectJudged(t, s, "the first base again, what was learned under it is forgotten", r.leaf(t, r.next), "cut")
}

func apply(t *testing.T, s *identity.Source, cfg *config.Config, change func(*config.Peer)) {
	t.Helper()
	next := *cfg
	next.Peers = slices.Clone(cfg.Peers)
	change(&next.Peers[0])
	if err := s.Apply(&next); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyWhatThePeerRetiredItselfEndsInPeace(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*config.Peer)
		want   string
	}{
		{"nothing_else_changes", func(*config.Peer) {}, "retired"},
		{"the_peer_is_suspended", func(p *config.Peer) { p.State = config.Suspended }, "retired"},
		{"the_peer_is_revoked", func(p *config.Peer) { p.State = config.Revoked }, "cut"},
		{"a_person_takes_the_root_away", nil, "cut"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, _ := nation(t)
			r := newRotating(t)
			cfg.Peers = []config.Peer{peer("bravo", r.old.Bundle(), config.Active)}
			s := source(t, cfg, nil)
			oldLeaf := r.leaf(t, r.old)
			mustLearn(t, s, learned(r.base, r.old, r.next))
			mustLearn(t, s, learned(r.base, r.next))
			if c.change == nil {
				c.change = func(p *config.Peer) { p.Bundle = r.next.Bundle() }
			}
			apply(t, s, cfg, c.change)
			expectJudged(t, s, "the old leaf", oldLeaf, c.want)
		})
	}
	t.Run("a_revoked_peer_that_comes_back_starts_anew_from_its_configured_bundle", func(t *testing.T) {
		cfg, _ := nation(t)
		r := newRotating(t)
		cfg.Peers = []config.Peer{peer("bravo", r.old.Bundle(), config.Active)}
		s := source(t, cfg, nil)
		mustLearn(t, s, learned(r.base, r.old, r.next))
		mustLearn(t, s, learned(r.base, r.next))
		apply(t, s, cfg, func(p *config.Peer) { p.State = config.Revoked })
		apply(t, s, cfg, func(*config.Peer) {})
		expectJudged(t, s, "the leaf of the configured root", r.leaf(t, r.old), "accepted")
		expectJudged(t, s, "a leaf of the root that was learned before", r.leaf(t, r.next), "cut")
	})
	t.Run("an_expired_leaf_under_a_retired_root_is_cut", func(t *testing.T) {
		cfg, _ := nation(t)
		r := newRotating(t)
		cfg.Peers = []config.Peer{peer("bravo", r.old.Bundle(), config.Active)}
		at := time.Now()
		s := source(t, cfg, func() time.Time { return at })
		chain := r.old.Leaf(t, testca.Leaf{Path: "/relay", NotAfter: at.Add(time.Hour)}).Chain
		mustLearn(t, s, learned(r.base, r.old, r.next))
		mustLearn(t, s, learned(r.base, r.next))
		expectJudged(t, s, "before its end", chain, "retired")
		at = at.Add(2 * time.Hour)
		expectJudged(t, s, "after its end", chain, "cut")
	})
	t.Run("a_stranger_under_the_peers_name_is_cut", func(t *testing.T) {
		cfg, _ := nation(t)
		r := newRotating(t)
		cfg.Peers = []config.Peer{peer("bravo", r.old.Bundle(), config.Active), peer("charlie", testca.New(t, "charlie.example").Bundle(), config.Active)}
		s := source(t, cfg, nil)
		mustLearn(t, s, learned(r.base, r.old, r.next))
		mustLearn(t, s, learned(r.base, r.next))
		expectJudged(t, s, "another CA", r.leaf(t, testca.New(t, "bravo.example")), "cut")
		expectJudged(t, s, "charlie signed by bravo's retired root",
			r.old.Leaf(t, testca.Leaf{Path: "/relay", TrustDomain: "charlie.example"}).Chain, "cut")
	})
}

func TestWhatWasLearnedBeforeTheStartCountsFromTheFirstSnapshot(t *testing.T) {
	cfg, _ := nation(t)
	r := newRotating(t)
	cfg.Peers = []config.Peer{peer("bravo", r.old.Bundle(), config.Active)}
	s, err := identity.New(identity.Config{Log: discard()})
	if err != nil {
		t.Fatal(err)
	}
	mustLearn(t, s, learned(r.base, r.next))
	var first *identity.Snapshot
	s.OnChange(func(now *identity.Snapshot) {
		if first == nil {
			first = now
		}
	})
	if err := s.Apply(cfg); err != nil {
		t.Fatal(err)
	}
	if _, _, err := first.VerifyPeer(r.leaf(t, r.next)); err != nil {
		t.Error(err)
	}
	expectJudged(t, s, "the old leaf: nothing was open at the start", r.leaf(t, r.old), "cut")
}

func TestABundleThatCannotBeUsedChangesNothing(t *testing.T) {
	cfg, _ := nation(t)
	r := newRotating(t)
	cfg.Peers = []config.Peer{peer("bravo", r.old.Bundle(), config.Active)}
	s := source(t, cfg, nil)
	before := s.Current()
	for name, l := range map[string]identity.Learned{
		"no_certificate":  learned(r.base),
		"a_leaf":          {TrustDomain: "bravo.example", Base: r.base, Bundle: string(testca.EncodeCertificates(r.leaf(t, r.next)...))},
		"an_unknown_peer": {TrustDomain: "charlie.example", Base: r.base, Bundle: r.next.Bundle()},
	} {
		t.Run(name, func(t *testing.T) {
			if err := s.Learn(l); err == nil || s.Current() != before {
				t.Errorf("err = %v", err)
			}
		})
	}
}

func TestTheLastHandshakeTellsWhichRootAPeerUses(t *testing.T) {
	cfg, _ := nation(t)
	r := newRotating(t)
	cfg.Peers = []config.Peer{peer("bravo", r.old.Bundle()+r.next.Bundle(), config.Active)}
	s := source(t, cfg, nil)
	told := 0
	s.OnSeen(func(td string) {
		if td == "bravo.example" {
			told++
		}
	})
	now := time.Now()
	older := r.old.Leaf(t, testca.Leaf{Path: "/relay", NotBefore: now.Add(-time.Hour)})
	newer := r.next.Leaf(t, testca.Leaf{Path: "/relay", NotBefore: now.Add(-time.Minute)})
	reader := r.old.Leaf(t, testca.Leaf{Path: "/reader"})
	if _, ok := s.Seen("bravo.example"); ok {
		t.Fatal("seen before any handshake")
	}
	for i, step := range []struct {
		shows testca.Pair
		dials bool
		root  *testca.CA
		told  int
	}{
		{older, true, r.old, 1},
		{older, false, r.old, 1},
		{newer, false, r.next, 2},
		{older, true, r.next, 2}, // a handshake that began before the renewal ends after it
		{reader, true, r.next, 2},
	} {
		handshake(t, s, step.shows, step.dials)
		if seen, _ := s.Seen("bravo.example"); seen.Root != cabundle.Hash(step.root.Root) || told != step.told {
			t.Errorf("step %d: root %s, told %d times", i, seen.Root, told)
		}
	}
	apply(t, s, cfg, func(p *config.Peer) { p.Name, p.TrustDomain = "charlie", "charlie.example" })
	if _, ok := s.Seen("bravo.example"); ok {
		t.Error("a peer that was removed is remembered")
	}
}

// handshake lets bravo show a certificate, dialling us or dialled by us, and returns what
// our side has seen.
func handshake(t *testing.T, s *identity.Source, shows testca.Pair, dials bool) tls.ConnectionState {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	cert := shows.TLS()
	bravo := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true, ClientAuth: tls.RequireAnyClientCert, NextProtos: []string{"x"}}
	us, them := tls.Client(ours, s.Current().LinkClient("bravo.example", "localhost", "x")), tls.Server(theirs, bravo)
	if dials {
		us, them = tls.Server(ours, s.Current().LinkServer([]string{"x"})), tls.Client(theirs, bravo)
	}
	done := make(chan error, 1)
	go func() { done <- them.HandshakeContext(t.Context()) }()
	if err := us.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return us.ConnectionState()
}

// Who had the peer's keys may have taught us a root of their own: after a revocation
// only what a person put into the card speaks for the peer.
func TestARevocationEndsWhatWasLearned(t *testing.T) {
	cfg, _ := nation(t)
	r := newRotating(t)
	cfg.Peers = []config.Peer{peer("bravo", r.old.Bundle(), config.Active)}
	s := source(t, cfg, nil)
	mustLearn(t, s, learned(r.base, r.old, r.next))

	apply(t, s, cfg, func(p *config.Peer) { p.State = config.Revoked })
	if err := s.Learn(learned(r.base, r.old, r.next)); !errors.Is(err, identity.ErrBase) {
		t.Errorf("learning of a peer that is Revoked: %v", err)
	}
	apply(t, s, cfg, func(p *config.Peer) { p.State = config.Active })
	expectJudged(t, s, "a leaf of the learned root", r.leaf(t, r.next), "cut")
	expectJudged(t, s, "a leaf of the configured root", r.leaf(t, r.old), "accepted")
}
