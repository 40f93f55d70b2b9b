// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package offer

import (
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/identity"
)

func TestJudge(t *testing.T) {
	now := time.Now()
	old, next, other := testca.New(t, "bravo.example"), testca.New(t, "bravo.example"), testca.New(t, "bravo.example")
	past := testca.New(t, "bravo.example", testca.Options{NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(-24 * time.Hour)})
	chain := func(ca *testca.CA, path string) []*x509.Certificate { return ca.Leaf(t, testca.Leaf{Path: path}).Chain }
	oldSigning, newSigning := chain(old, "/signing"), chain(next, "/signing")
	oldLink, newLink := chain(old, "/relay"), chain(next, "/relay")
	pem := func(cas ...*testca.CA) string {
		text := ""
		for _, ca := range cas {
			text += ca.Bundle()
		}
		return text
	}
	inForce := func(cas ...*testca.CA) identity.PeerTrust {
		var roots []*x509.Certificate
		for _, ca := range cas {
			roots = append(roots, ca.Root)
		}
		return identity.PeerTrust{Roots: roots}
	}
	keys := func(ca *testca.CA) []string { return []string{cabundle.KeyHash(ca.Root)} }
	for _, c := range []struct {
		name string
		in   offered
		want action
		says string
	}{
		{"takes_the_next_root_beside_the_old_one", offered{bundle: pem(old, next), trust: inForce(old), signing: oldSigning, seen: oldLink}, learn, ""},
		{"takes_the_next_root_before_any_handshake", offered{bundle: pem(old, next), trust: inForce(old), signing: oldSigning}, learn, ""},
		{"takes_away_the_old_root_when_all_leaves_are_new", offered{bundle: pem(next), trust: inForce(old, next), signing: newSigning, seen: newLink}, learn, ""},
		{"takes_back_a_root_that_was_given_up", offered{bundle: pem(old), trust: inForce(old, next), signing: oldSigning, seen: oldLink}, learn, ""},
		{"keeps_what_is_in_force", offered{bundle: pem(next, old, old), trust: inForce(old, next), signing: oldSigning}, keep, ""},
		{"keeps_when_nothing_is_offered", offered{trust: inForce(old)}, keep, ""},
		{"keeps_what_is_newer_than_the_offer", offered{bundle: pem(old), trust: inForce(old, next), signing: oldSigning, serial: 6, learned: 7}, keep, ""},
		{"lets_a_person_decide", offered{bundle: pem(old, next), trust: inForce(old), signing: oldSigning, rotation: config.Manual}, wait, ""},
		{"lets_a_person_decide_about_a_jump", offered{bundle: pem(next), trust: inForce(old), signing: oldSigning, rotation: config.Manual}, wait, ""},
		{"refuses_a_jump", offered{bundle: pem(next), trust: inForce(old), signing: newSigning, seen: newLink}, refuse, "shares no CA certificate"},
		{"refuses_to_lock_out_the_signing_certificate", offered{bundle: pem(next), trust: inForce(old, next), signing: oldSigning, seen: newLink}, refuse, "vouch for the signing certificate"},
		{"refuses_to_lock_out_the_link_certificate", offered{bundle: pem(next), trust: inForce(old, next), signing: newSigning, seen: oldLink}, refuse, "vouch for the link certificate"},
		{"refuses_what_is_no_bundle", offered{bundle: "none", trust: inForce(old), signing: oldSigning}, refuse, "no certificate"},
		{"refuses_a_leaf", offered{bundle: pem(old) + string(testca.EncodeCertificates(oldLink...)), trust: inForce(old), signing: oldSigning}, refuse, "is not that of a CA"},
		{"refuses_a_private_key", offered{bundle: pem(old) + string(old.Leaf(t, testca.Leaf{Path: "/x"}).KeyPEM), trust: inForce(old)}, refuse, "private key"},
		{"refuses_33_certificates", offered{bundle: strings.Repeat(pem(old), 33), trust: inForce(old)}, refuse, "more than 32"},
		{"refuses_a_bundle_of_the_past", offered{bundle: pem(past), trust: inForce(past, old), signing: oldSigning}, refuse, "is valid now"},
		{"takes_a_bundle_that_still_holds_a_root_of_the_past", offered{bundle: pem(past, old), trust: inForce(old), signing: oldSigning, seen: oldLink}, learn, ""},
		{"refuses_a_bundle_that_is_not_what_its_hash_says", offered{bundle: pem(old, next), hash: cabundle.SetHash([]*x509.Certificate{old.Root}), trust: inForce(old)}, refuse, "hash"},
		{"leaves_out_what_a_person_took_out", offered{bundle: pem(old, next, other), trust: inForce(old), signing: oldSigning, seen: oldLink, withdrawn: keys(other)}, learn, "was taken out of our PeerCERT"},
		{"keeps_what_a_person_left", offered{bundle: pem(old, next), trust: inForce(next), signing: newSigning, seen: newLink, withdrawn: keys(old)}, keep, "was taken out of our PeerCERT"},
		{"refuses_only_what_a_person_took_out", offered{bundle: pem(old), trust: inForce(next), signing: newSigning, withdrawn: keys(old)}, refuse, "was taken out of our PeerCERT"},
		{"shows_a_person_all", offered{bundle: pem(old, next), trust: inForce(old), signing: oldSigning, rotation: config.Manual, withdrawn: keys(next)}, wait, ""},
		{"refuses_other_roots_that_the_peer_does_not_use", offered{bundle: pem(old, other), trust: inForce(old, next), signing: newSigning, seen: newLink}, refuse, "signing certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.in.trustDomain, c.in.now = "bravo.example", now
			if c.in.serial == 0 {
				c.in.serial = 8
			}
			got := judge(c.in)
			if got.action != c.want || (got.err != nil) != (c.want == refuse) {
				t.Fatalf("%d, %v; want %d", got.action, got.err, c.want)
			}
			if said := cmp.Or(got.err, got.note); (said != nil) != (c.says != "") || said != nil && !strings.Contains(said.Error(), c.says) {
				t.Errorf("it says %v, want %q", said, c.says)
			}
			if got.action == learn && slices.ContainsFunc(got.roots, func(r *x509.Certificate) bool { return slices.Contains(c.in.withdrawn, cabundle.KeyHash(r)) }) {
				t.Error("it learns what a person took out")
			}
			if got.err != nil && strings.Contains(got.err.Error(), "\n") {
				t.Errorf("several lines: %q", got.err)
			}
		})
	}
}

func TestPace(t *testing.T) {
	for _, c := range []struct {
		name        string
		failures    int
		again       bool
		least, most time.Duration
	}{
		{"every_30_seconds", 0, false, 24 * time.Second, 36 * time.Second},
		{"at_once_when_there_is_something_new", 0, true, 0, 0},
		{"a_second_after_the_first_failure", 1, false, 800 * time.Millisecond, 1200 * time.Millisecond},
		{"longer_after_more", 4, false, 6400 * time.Millisecond, 9600 * time.Millisecond},
		{"never_longer_than_without_failure", 1000, false, 24 * time.Second, 36 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			if least, most := pace(c.failures, c.again, 0), pace(c.failures, c.again, 1); least != c.least || most != c.most {
				t.Errorf("%s to %s, want %s to %s", least, most, c.least, c.most)
			}
		})
	}
}

// A bundle that is short enough without line breaks must not be stored in a form that
// cannot be read back.
func TestABundleThatIsTooLongInLinesIsRefused(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, 24_000)}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	bundle := "-----BEGIN CERTIFICATE-----\n" + base64.StdEncoding.EncodeToString(der) + "\n-----END CERTIFICATE-----\n"
	if _, err := cabundle.Parse(bundle); err != nil {
		t.Fatalf("the test needs a bundle that is one: %v", err)
	}
	if got := judge(offered{trustDomain: "bravo.example", bundle: bundle, rotation: config.Manual, now: time.Now()}); got.action != refuse || !strings.Contains(got.err.Error(), "in lines of 64") {
		t.Errorf("%d, %v", got.action, got.err)
	}
}
