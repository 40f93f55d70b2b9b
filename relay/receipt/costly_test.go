// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package receipt_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/receipt"
)

// costly is a chain whose leaf says that it was signed by RSA keys of so many bits. Nobody has these: to find that out is what costs.
func costly(t *testing.T, bits int) (alfa *testca.CA, chain [][]byte) {
	t.Helper()
	alfa = testca.New(t, "alfa.example", testca.Options{Algorithm: testca.RSA})
	other := testca.New(t, "other.example")
	var leaf struct {
		Content   asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(alfa.Leaf(t, testca.Leaf{Path: "/signing"}).Chain[0].Raw, &leaf); err != nil {
		t.Fatal(err)
	}
	leaf.Signature = asn1.BitString{Bytes: append([]byte{0}, bytes.Repeat([]byte{0x55}, bits/8-1)...), BitLength: bits}
	der, err := asn1.Marshal(leaf)
	if err != nil {
		t.Fatal(err)
	}
	chain = [][]byte{der}
	for range receipt.MaxChain - 1 {
		n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits-1)))
		if err != nil {
			t.Fatal(err)
		}
		n.SetBit(n, bits-1, 1).SetBit(n, 0, 1)
		issued, err := other.Sign(&x509.Certificate{
			Subject: alfa.Root.Subject, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		}, &rsa.PublicKey{N: n, E: 1<<31 - 1})
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, issued[0].Raw)
	}
	return alfa, chain
}

func TestAKeyThatTakesLongToVerifyWithIsRefusedUnverified(t *testing.T) {
	for bits, want := range map[int]error{8192: receipt.ErrUntrusted, 8192 + 8: receipt.ErrMalformed, 56_000: receipt.ErrMalformed} {
		alfa, chain := costly(t, bits)
		begun := time.Now()
		if _, err := receipt.OpenChain(bundles(t, alfa), chain, time.Now()); !errors.Is(err, want) {
			t.Errorf("%d bits, after %s: %v, want %v", bits, time.Since(begun), err, want)
		}
	}
	alfa, chain := costly(t, 40_000) // of which fewer fit into the header of a statement
	var x5c []string
	for _, der := range chain[:2] {
		x5c = append(x5c, base64.StdEncoding.EncodeToString(der))
	}
	jws := withHeader(t, sign(t, signing(t, alfa), "payload"), "x5c", x5c)
	if _, err := receipt.Open(bundles(t, alfa), typ, jws, time.Now()); !errors.Is(err, receipt.ErrMalformed) {
		t.Errorf("a statement: %v", err)
	}
}
