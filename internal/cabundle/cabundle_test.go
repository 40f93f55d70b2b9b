// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cabundle_test

import (
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/internal/testca"
)

func TestEqualSetsHaveEqualTextAndHashes(t *testing.T) {
	a, b := testca.New(t, "alfa.example").Root, testca.New(t, "alfa.example").Root
	one, other := []*x509.Certificate{a, b}, []*x509.Certificate{b, a, b}
	if cabundle.Encode(one) != cabundle.Encode(other) || cabundle.SetHash(one) != cabundle.SetHash(other) ||
		cabundle.Fingerprint("alfa.example", one) != cabundle.Fingerprint("alfa.example", other) ||
		!slices.Equal(cabundle.Hashes(one), cabundle.Hashes(other)) {
		t.Error("the same certificates in another order are another bundle")
	}
	if cabundle.SetHash(one) == cabundle.SetHash(one[:1]) || cabundle.Hash(a) == cabundle.Hash(b) || cabundle.KeyHash(a) == cabundle.KeyHash(b) {
		t.Error("other certificates have the same hash")
	}
	if got := cabundle.Union(one, other); len(got) != 2 {
		t.Errorf("the union holds %d certificates", len(got))
	}
	parsed, err := cabundle.Parse(cabundle.Encode(other))
	if err != nil || cabundle.SetHash(parsed) != cabundle.SetHash(one) {
		t.Errorf("read again: %v", err)
	}
}

// large is a CA certificate with an RSA key of so many bits, which nobody has.
func large(t *testing.T, ca *testca.CA, bits int) *x509.Certificate {
	t.Helper()
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits))
	issued, err := ca.Sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "large"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, &rsa.PublicKey{N: n.Sub(n, big.NewInt(1)), E: 65537})
	if err != nil {
		t.Fatal(err)
	}
	return issued[0]
}

func TestParseRefusesWhatIsNoBundle(t *testing.T) {
	ca := testca.New(t, "alfa.example")
	leaf := ca.Leaf(t, testca.Leaf{Path: "/relay"})
	for name, c := range map[string]struct{ bundle, says string }{
		"a_leaf":                               {string(leaf.CertPEM), "is not that of a CA"},
		"a_key":                                {ca.Bundle() + string(leaf.KeyPEM), "private key"},
		"nothing":                              {"", "no certificate"},
		"a_damaged_block":                      {ca.Bundle() + strings.Replace(ca.Bundle(), "MII", "!!!", 1), "damaged"},
		"too_many":                             {strings.Repeat(ca.Bundle(), cabundle.MaxCertificates+1), "more than 32"},
		"too_much":                             {strings.Repeat("x", cabundle.MaxBytes+1), "at most"},
		"a_key_that_takes_long_to_verify_with": {string(testca.EncodeCertificates(large(t, ca, cabundle.MaxRSABits+8))), "more than 16384 bits"},
		"something_else_too":                   {ca.Bundle() + "-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n", "not a CERTIFICATE"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := cabundle.Parse(c.bundle); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("err = %v, want one that says %q", err, c.says)
			}
		})
	}
	if _, err := cabundle.Parse(string(testca.EncodeCertificates(large(t, ca, cabundle.MaxRSABits)))); err != nil {
		t.Errorf("the largest RSA key: %v", err)
	}
}
