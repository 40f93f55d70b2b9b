// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/identity"
	"github.com/certlink/certlink/relay/report"
)

// leafOf is a template for the relay of bravo, with these URIs.
func leafOf(uris ...*url.URL) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: "spiffe://bravo.example/relay"}, DNSNames: []string{"bravo.example"}, URIs: uris,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

var relayOfBravo = &url.URL{Scheme: "spiffe", Host: "bravo.example", Path: "/relay"}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// knowing is alfa, which has bravo as its peer under a bundle.
func knowing(t *testing.T, bundle string, clock func() time.Time) *identity.Source {
	t.Helper()
	cfg, _ := nation(t)
	cfg.Peers = []config.Peer{peer("bravo", bundle, config.Active)}
	return source(t, cfg, clock)
}

// TestANameThatIsWrittenOtherwiseIsNotThatOfTheRelay has bravo's own CA issue what it likes. Some of it no parser of X.509 takes.
func TestANameThatIsWrittenOtherwiseIsNotThatOfTheRelay(t *testing.T) {
	bravo := testca.New(t, "bravo.example")
	snapshot := knowing(t, bravo.Bundle(), nil).Current()
	at := func(host, path string) *url.URL { return &url.URL{Scheme: "spiffe", Host: host, Path: path} }
	for name, uris := range map[string][]*url.URL{
		"two_names":                      {relayOfBravo, at("charlie.example", "/relay")},
		"two_names_the_other_way_round":  {at("charlie.example", "/relay"), relayOfBravo},
		"the_name_twice":                 {relayOfBravo, relayOfBravo},
		"a_web_address_behind_it":        {relayOfBravo, {Scheme: "https", Host: "bravo.example", Path: "/"}},
		"none_but_in_the_subject":        {},
		"upper_case":                     {at("BRAVO.example", "/relay")},
		"a_dot_behind_it":                {at("bravo.example.", "/relay")},
		"a_name_below":                   {at("relay.bravo.example", "/relay")},
		"a_name_above":                   {at("example", "/relay")},
		"letters_that_look_like_others":  {at("brаvo.example", "/relay")}, // the a is Cyrillic
		"these_as_IDNA_has_them":         {at("xn--brvo-63d.example", "/relay")},
		"a_port":                         {at("bravo.example:8443", "/relay")},
		"a_user":                         {{Scheme: "spiffe", User: url.User("x"), Host: "bravo.example", Path: "/relay"}},
		"a_query":                        {{Scheme: "spiffe", Host: "bravo.example", Path: "/relay", RawQuery: "x"}},
		"a_fragment":                     {{Scheme: "spiffe", Host: "bravo.example", Path: "/relay", Fragment: "x"}},
		"another_scheme":                 {{Scheme: "https", Host: "bravo.example", Path: "/relay"}},
		"a_path_with_escapes":            {{Scheme: "spiffe", Host: "bravo.example", Path: "/relay", RawPath: "/%72elay"}},
		"a_slash_behind_the_path":        {at("bravo.example", "/relay/")},
		"two_slashes":                    {at("bravo.example", "//relay")},
		"a_path_that_leads_up_and_down":  {at("bravo.example", "/x/../relay")},
		"a_path_in_upper_case":           {at("bravo.example", "/Relay")},
		"a_path_below":                   {at("bravo.example", "/relay/x")},
		"no_path":                        {at("bravo.example", "")},
		"an_address":                     {at("192.0.2.1", "/relay")},
		"an_IPv6_address":                {at("[2001:db8::1]", "/relay")},
		"a_wildcard":                     {at("*.example", "/relay")},
		"a_very_long_name":               {at("bravo.example", "/"+strings.Repeat("relay/", 4000)+"relay")},
		"a_name_that_goes_on_behind_NUL": {at("bravo.example\x00.charlie.example", "/relay")},
	} {
		t.Run(name, func(t *testing.T) {
			chain, err := bravo.Sign(leafOf(uris...), newKey(t).Public())
			if err != nil {
				return // no other end can show it
			}
			if id, _, err := snapshot.VerifyPeer(chain); err == nil && id.String() == "spiffe://bravo.example/relay" {
				t.Errorf("%v is the relay of bravo", chain[0].URIs)
			}
		})
	}
	chain, err := bravo.Sign(leafOf(relayOfBravo), newKey(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	if id, _, err := snapshot.VerifyPeer(chain); err != nil || id.String() != "spiffe://bravo.example/relay" {
		t.Errorf("the name as it should be: %v, %v", id, err)
	}
}

// constrained is a CA whose root says for which names it stands, and what it issues for bravo's relay.
func constrained(t *testing.T, mod func(root *x509.Certificate)) (bundle string, chain []*x509.Certificate) {
	t.Helper()
	key := newKey(t)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	mod(root)
	signed := func(template, parent *x509.Certificate, public crypto.PublicKey) *x509.Certificate {
		t.Helper()
		der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	ca := signed(root, root, key.Public())
	leaf := leafOf(relayOfBravo)
	leaf.SerialNumber = big.NewInt(2)
	return string(testca.EncodeCertificates(ca)), []*x509.Certificate{signed(leaf, ca, newKey(t).Public())}
}

func TestWhatACASaysOfItselfBindsItsLeaves(t *testing.T) {
	for name, c := range map[string]struct {
		mod  func(root *x509.Certificate)
		says string // "" is accepted
	}{
		"nothing":                   {func(*x509.Certificate) {}, ""},
		"for_these_names":           {func(r *x509.Certificate) { r.PermittedURIDomains = []string{"bravo.example"} }, ""},
		"for_names_of_others":       {func(r *x509.Certificate) { r.PermittedURIDomains = []string{"charlie.example"} }, "breaks a rule of X.509"},
		"for_names_below_them":      {func(r *x509.Certificate) { r.PermittedURIDomains = []string{".bravo.example"} }, "breaks a rule of X.509"},
		"not_for_these_names":       {func(r *x509.Certificate) { r.ExcludedURIDomains = []string{"bravo.example"} }, "breaks a rule of X.509"},
		"for_no_DNS_name_of_a_leaf": {func(r *x509.Certificate) { r.PermittedDNSDomains = []string{"charlie.example"} }, "breaks a rule of X.509"},
		"that_it_is_none":           {func(r *x509.Certificate) { r.IsCA, r.KeyUsage = false, x509.KeyUsageDigitalSignature }, "does not chain"},
		"that_it_signs_lists_only":  {func(r *x509.Certificate) { r.KeyUsage = x509.KeyUsageCRLSign }, "does not chain"},
		"something_that_nobody_understands": {func(r *x509.Certificate) {
			r.ExtraExtensions = []pkix.Extension{{Id: []int{1, 3, 6, 1, 4, 1, 99999, 1}, Critical: true, Value: []byte{5, 0}}}
		}, "does not chain"},
	} {
		t.Run(name, func(t *testing.T) {
			bundle, chain := constrained(t, c.mod)
			_, _, err := knowing(t, bundle, nil).Current().VerifyPeer(chain)
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}

func TestALeafThatCouldIssueOthersIsRefused(t *testing.T) {
	bravo := testca.New(t, "bravo.example")
	snapshot := knowing(t, bravo.Bundle(), nil).Current()
	for name, mod := range map[string]func(leaf *x509.Certificate){
		"as_a_CA":              func(l *x509.Certificate) { l.IsCA, l.KeyUsage = true, x509.KeyUsageCertSign },
		"as_a_CA_that_may_not": func(l *x509.Certificate) { l.IsCA = true },
		"by_its_use":           func(l *x509.Certificate) { l.KeyUsage |= x509.KeyUsageCertSign },
		"with_an_unknown_extension": func(l *x509.Certificate) {
			l.ExtraExtensions = []pkix.Extension{{Id: []int{1, 3, 6, 1, 4, 1, 99999, 1}, Critical: true, Value: []byte{5, 0}}}
		},
	} {
		leaf := leafOf(relayOfBravo)
		mod(leaf)
		chain, err := bravo.Sign(leaf, newKey(t).Public())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := snapshot.VerifyPeer(chain); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestAChainHasAtMostEightCertificates(t *testing.T) {
	for intermediates, accepted := range map[int]bool{0: true, 7: true, 8: false, 9: false} {
		bravo := testca.New(t, "bravo.example", testca.Options{Intermediates: intermediates})
		_, _, err := knowing(t, bravo.Bundle(), nil).Current().VerifyPeer(bravo.Leaf(t, testca.Leaf{Path: "/relay"}).Chain)
		if accepted != (err == nil) || err != nil && !strings.Contains(err.Error(), "1 to 8 are accepted") {
			t.Errorf("%d certificates: %v", intermediates+1, err)
		}
	}
}

// TestAClockThatIsSetBackAcceptsNobodyEarly sets our clock back below the beginning of what a peer shows, and forth again.
func TestAClockThatIsSetBackAcceptsNobodyEarly(t *testing.T) {
	var off atomic.Int64
	bravo := testca.New(t, "bravo.example")
	s := knowing(t, bravo.Bundle(), func() time.Time { return time.Now().Add(time.Duration(off.Load())) })
	chain := bravo.Leaf(t, testca.Leaf{Path: "/relay"}).Chain
	for _, step := range []struct {
		off   time.Duration
		cause report.Cause
		ours  string
	}{
		{0, report.CauseNone, ""},
		{-2 * time.Hour, report.CauseExpired, "check the clock of this machine"},
		{100 * 24 * time.Hour, report.CauseExpired, "expired"},
		{0, report.CauseNone, ""},
	} {
		off.Store(int64(step.off))
		_, _, err := s.Current().VerifyPeer(chain)
		refused, ok := errors.AsType[*identity.VerifyError](err)
		if step.cause == report.CauseNone && err != nil || step.cause != report.CauseNone && (!ok || refused.Cause != step.cause || !strings.Contains(refused.Reason, "clocks")) {
			t.Errorf("%s off: %v", step.off, err)
		}
		if said := s.State().Error; !strings.Contains(said, step.ours) || step.ours == "" && said != "" {
			t.Errorf("%s off we say of ourselves %q", step.off, said)
		}
	}
}

// handshakes connects to alfa's link port with a certificate, and returns what alfa says of it.
func handshakes(t *testing.T, snapshot *identity.Snapshot, cert tls.Certificate, cache tls.ClientSessionCache) (resumed bool, err error) {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	result := make(chan error, 1)
	server := tls.Server(theirs, snapshot.LinkServer([]string{"x"}))
	go func() {
		defer theirs.Close()
		err := server.HandshakeContext(ctx)
		if err == nil {
			_, err = server.Write([]byte("x"))
		}
		result <- err
	}()
	client := tls.Client(ours, &tls.Config{
		Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true, NextProtos: []string{"x"}, ServerName: "alfa", ClientSessionCache: cache,
	})
	if client.HandshakeContext(ctx) == nil {
		_, _ = client.Read(make([]byte, 1)) // what comes before it are tickets
	}
	return client.ConnectionState().DidResume, <-result
}

func TestLeavesOfEveryUsualKeyShakeHands(t *testing.T) {
	bravo := testca.New(t, "bravo.example")
	snapshot := knowing(t, bravo.Bundle(), nil).Current()
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]crypto.Signer{"Ed25519": edwards}
	for name, curve := range map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()} {
		if keys[name], err = ecdsa.GenerateKey(curve, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	if keys["RSA_3072"], err = rsa.GenerateKey(rand.Reader, 3072); err != nil {
		t.Fatal(err)
	}
	for name, key := range keys {
		chain, err := bravo.Sign(leafOf(relayOfBravo), key.Public())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := handshakes(t, snapshot, testca.Pair{Chain: chain, Key: key}.TLS(), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAKeyThatTakesLongToVerifyIsRefusedUnverified shows one of 64 kbit behind a good leaf.
func TestAKeyThatTakesLongToVerifyIsRefusedUnverified(t *testing.T) {
	bravo := testca.New(t, "bravo.example")
	snapshot := knowing(t, bravo.Bundle(), nil).Current()
	good := bravo.Leaf(t, testca.Leaf{Path: "/relay"})
	n := new(big.Int).Lsh(big.NewInt(1), 1<<16)
	large, err := bravo.Sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "large"}, IsCA: true, BasicConstraintsValid: true, NotBefore: good.Chain[0].NotBefore, NotAfter: good.Chain[0].NotAfter,
	}, &rsa.PublicKey{N: n.Sub(n, big.NewInt(1)), E: 1<<31 - 1})
	if err != nil {
		t.Fatal(err)
	}
	pair := good
	pair.Chain = append(pair.Chain, large[0])
	if _, err := handshakes(t, snapshot, pair.TLS(), nil); err == nil || !strings.Contains(err.Error(), "larger than 8192 bits") {
		t.Errorf("error is %v", err)
	}
}

// tickets counts what a server gives to resume by.
type tickets struct {
	tls.ClientSessionCache
	given int
}

// Put implements tls.ClientSessionCache.
func (c *tickets) Put(key string, state *tls.ClientSessionState) {
	c.given++
	c.ClientSessionCache.Put(key, state)
}

func TestNoSessionOutlivesTheTrustThatItBeganUnder(t *testing.T) {
	cfg, _ := nation(t)
	bravo := testca.New(t, "bravo.example")
	cfg.Peers = []config.Peer{peer("bravo", bravo.Bundle(), config.Active)}
	s, cert := source(t, cfg, nil), bravo.Leaf(t, testca.Leaf{Path: "/relay"}).TLS()
	cache := &tickets{ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	for range 3 {
		if resumed, err := handshakes(t, s.Current(), cert, cache); err != nil || resumed || cache.given > 0 {
			t.Errorf("resumed: %v, %d tickets, %v", resumed, cache.given, err)
		}
	}
	apply(t, s, cfg, func(p *config.Peer) { p.State = config.Revoked })
	if _, err := handshakes(t, s.Current(), cert, cache); err == nil || !strings.Contains(err.Error(), "Revoked by our side") {
		t.Errorf("after it was revoked: %v", err)
	}
}
