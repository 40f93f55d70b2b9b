// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package testca_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/certlink/certlink/internal/testca"
)

func TestLeavesVerifyAgainstTheirOwnRoot(t *testing.T) {
	for _, alg := range []testca.Algorithm{testca.ECDSA, testca.RSA, testca.Ed25519} {
		for n := range 3 {
			t.Run(fmt.Sprintf("%s_with_%d_intermediates", alg, n), func(t *testing.T) {
				ca := testca.New(t, "alfa.example", testca.Options{Algorithm: alg, Intermediates: n})
				p := ca.Leaf(t, testca.Leaf{Path: "/relay"})
				roots, inter := x509.NewCertPool(), x509.NewCertPool()
				roots.AppendCertsFromPEM([]byte(ca.Bundle()))
				for _, c := range p.Chain[1:] {
					inter.AddCert(c)
				}
				if _, err := p.Chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: inter}); err != nil {
					t.Fatal(err)
				}
				if got := p.Chain[0].URIs[0].String(); got != "spiffe://alfa.example/relay" {
					t.Errorf("URI = %s", got)
				}
			})
		}
	}
}

func TestASecondWriteSwapsTheFiles(t *testing.T) {
	ca := testca.New(t, "alfa.example")
	dir := filepath.Join(t.TempDir(), "relay")
	for range 2 {
		p := ca.Leaf(t, testca.Leaf{Path: "/relay"})
		p.WriteTo(t, dir)
		got, err := os.ReadFile(filepath.Join(dir, "tls.crt"))
		if err != nil || string(got) != string(p.CertPEM) {
			t.Fatalf("tls.crt is not the new one (%v)", err)
		}
		if _, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")); err != nil {
			t.Fatal(err)
		}
	}
}
