// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cabundle_test

import (
	"crypto/x509"
	"slices"
	"strings"
	"testing"

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

func TestParseRefusesWhatIsNoBundle(t *testing.T) {
	ca := testca.New(t, "alfa.example")
	leaf := ca.Leaf(t, testca.Leaf{Path: "/relay"})
	for name, c := range map[string]struct{ bundle, says string }{
		"a_leaf":             {string(leaf.CertPEM), "is not that of a CA"},
		"a_key":              {ca.Bundle() + string(leaf.KeyPEM), "private key"},
		"nothing":            {"", "no certificate"},
		"a_damaged_block":    {ca.Bundle() + strings.Replace(ca.Bundle(), "MII", "!!!", 1), "damaged"},
		"too_many":           {strings.Repeat(ca.Bundle(), cabundle.MaxCertificates+1), "more than 32"},
		"too_much":           {strings.Repeat("x", cabundle.MaxBytes+1), "at most"},
		"something_else_too": {ca.Bundle() + "-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n", "not a CERTIFICATE"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := cabundle.Parse(c.bundle); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("err = %v, want one that says %q", err, c.says)
			}
		})
	}
}
