// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package card

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/api/v1alpha1"
)

// certificate makes a self-signed certificate, of a CA or not.
func certificate(t *testing.T, name string, ca bool) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  ca,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func sample(t *testing.T) Card {
	t.Helper()
	priority := int32(10)
	return Card{
		Name: "alfa",
		Identity: v1alpha1.Identity{
			DisplayName: "CERT Alfa",
			Country:     "XA",
			TrustDomain: "alfa.example",
			Contact:     &v1alpha1.Contact{Email: "duty@cert.alfa.example"},
		},
		Endpoints: []v1alpha1.Endpoint{{Address: "relay.alfa.example:8443", Label: "fibre", Priority: &priority}},
		Bundle:    Bundle([]*x509.Certificate{certificate(t, "alfa CA", true)}),
	}
}

func TestCard(t *testing.T) {
	t.Run("what_Build_writes_Parse_reads", func(t *testing.T) {
		want := sample(t)
		data, err := Build(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("card changed (-want +got):\n%s", diff)
		}
	})

	t.Run("equal_content_gives_equal_bytes", func(t *testing.T) {
		a, b := certificate(t, "one", true), certificate(t, "two", true)
		c := sample(t)
		c.Bundle = Bundle([]*x509.Certificate{a, b})
		first, err := Build(c)
		if err != nil {
			t.Fatal(err)
		}
		pemOf := func(cert *x509.Certificate) string {
			return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
		}
		c.Bundle = "# a comment\n" + pemOf(b) + pemOf(a) + pemOf(b)
		second, err := Build(c)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(first), string(second)); diff != "" {
			t.Errorf("order and repetition of certificates show:\n%s", diff)
		}
	})

	t.Run("becomes_a_PeerCERT_without_a_namespace", func(t *testing.T) {
		c := sample(t)
		p := c.PeerCERT()
		if p.Namespace != "" || p.Name != "alfa" || p.Spec.Trust.Bundle != c.Bundle || p.Kind != "PeerCERT" {
			t.Errorf("unexpected PeerCERT: %+v", p)
		}
	})
}

func TestParseRefuses(t *testing.T) {
	good, err := Build(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	text := string(good)
	leaf := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate(t, "relay", false).Raw}))
	withLeaf := sample(t)
	withLeaf.Bundle = leaf
	for name, tc := range map[string]struct{ data, want string }{
		"nothing":            {"", "a card is PeerCERT"},
		"another_kind":       {strings.Replace(text, "kind: PeerCERT", "kind: LocalCERT", 1), `it is "LocalCERT"`},
		"another_version":    {strings.Replace(text, "certlink.dev/v1alpha1", "certlink.dev/v9", 1), "certlink.dev/v9"},
		"an_unknown_field":   {strings.Replace(text, "spec:", "spec:\n  state: Revoked", 1), `unknown field "state"`},
		"a_namespace":        {strings.Replace(text, "name: alfa", "name: alfa\n  namespace: kube-system", 1), `unknown field "namespace"`},
		"a_second_document":  {text + "\n---\n" + text, "more than one YAML document"},
		"a_private_key":      {text + "\n# -----BEGIN PRIVATE KEY-----", "private key"},
		"too_much":           {text + strings.Repeat("#", MaxBytes), "at most 65536"},
		"a_repeated_field":   {text + "\nkind: PeerCERT", "already set"},
		"a_bad_name":         {strings.Replace(text, "name: alfa", "name: Alfa!", 1), "metadata.name"},
		"a_bad_trust_domain": {strings.Replace(text, "trustDomain: alfa.example", "trustDomain: Alfa/x", 1), "spec.identity.trustDomain"},
		"a_bad_address":      {strings.Replace(text, "relay.alfa.example:8443", "relay.alfa.example", 1), "spec.endpoints[0].address"},
		"a_bad_port":         {strings.Replace(text, "relay.alfa.example:8443", "relay.alfa.example:70000", 1), "1 to 65535"},
		"not_YAML":           {"\t{", "reading card"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(tc.data))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want one with %q", err, tc.want)
			}
		})
	}
	t.Run("the_certificate_of_a_relay", func(t *testing.T) {
		if _, err := Build(withLeaf); err == nil || !strings.Contains(err.Error(), "not that of a CA") {
			t.Errorf("got error %v", err)
		}
	})
}

func TestCertificatesRefuses(t *testing.T) {
	good := Bundle([]*x509.Certificate{certificate(t, "ca", true)})
	for name, tc := range map[string]struct{ bundle, want string }{
		"no_certificate":                    {"hello", "no certificate"},
		"a_private_key":                     {good + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "private key"},
		"a_request":                         {"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "CERTIFICATE REQUEST"},
		"a_damaged_block":                   {good + "-----BEGIN CERTIFICATE-----\n%%%\n", "damaged"},
		"a_damaged_block_before_a_good_one": {"-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n" + good, "damaged"},
		"a_damaged_private_key":             {"-----BEGIN PRIVATE KEY-----\n%%%\n-----END PRIVATE KEY-----\n" + good, "private key"},
		"a_private_key_that_is_indented":    {"  -----BEGIN EC PRIVATE KEY-----\n  AAAA\n  -----END EC PRIVATE KEY-----\n" + good, "private key"},
		"what_is_not_X.509":                 {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be read"},
		"too_many_bytes":                    {strings.Repeat("x", MaxBundleBytes+1), "at most"},
		"too_many":                          {strings.Repeat(good, MaxCertificates+1), "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Certificates(tc.bundle); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestAnErrorHoldsNoControlCharactersOfTheSubject(t *testing.T) {
	leaf := Bundle([]*x509.Certificate{certificate(t, "relay\x1b[2J\u202e", false)})
	_, err := Certificates(leaf)
	if err == nil || strings.ContainsAny(err.Error(), "\x1b\u202e") {
		t.Errorf("got error %q", err)
	}
}

func TestFingerprint(t *testing.T) {
	a, b := certificate(t, "one", true), certificate(t, "two", true)
	base := Fingerprint("alfa.example", []*x509.Certificate{a, b})
	if groups := strings.Split(base, "-"); len(groups) != 8 || len(base) != 39 {
		t.Errorf("%q is not eight groups of four", base)
	}
	if got := Fingerprint("alfa.example", []*x509.Certificate{b, a, b}); got != base {
		t.Errorf("order changed the fingerprint: %q and %q", got, base)
	}
	if got := Fingerprint("bravo.example", []*x509.Certificate{a, b}); got == base {
		t.Error("another trust domain has the same fingerprint")
	}
	if got := Fingerprint("alfa.example", []*x509.Certificate{a}); got == base {
		t.Error("another bundle has the same fingerprint")
	}
	if !SameFingerprint(base, strings.ToUpper(strings.ReplaceAll(base, "-", " "))) {
		t.Error("the same fingerprint, written otherwise, was refused")
	}
	if SameFingerprint(base, base[:19]) || SameFingerprint("", "") {
		t.Error("a part of a fingerprint was accepted")
	}
}

func TestName(t *testing.T) {
	for in, want := range map[string]string{
		"alfa":                   "alfa",
		"Alfa.Example":           "alfa-example",
		"..":                     "cert",
		strings.Repeat("a", 100): strings.Repeat("a", 63),
	} {
		if got := Name(in); got != want {
			t.Errorf("Name(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("apiVersion: certlink.dev/v1alpha1\nkind: PeerCERT\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data)
		if err != nil {
			return
		}
		if _, err := Build(c); err != nil {
			t.Errorf("Parse accepted what Build refuses: %v", err)
		}
	})
}
