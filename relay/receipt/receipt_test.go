// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package receipt_test

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/receipt"
)

const typ = "certlink-test"

// signer is a receipt.Signer from a test certificate.
type signer testca.Pair

func (s signer) SigningChain() ([]*x509.Certificate, crypto.Signer) { return s.Chain, s.Key }

// bundles is a receipt.Verifier that trusts each CA for its own trust domain.
func bundles(t testing.TB, cas ...*testca.CA) *x509bundle.Set {
	t.Helper()
	set := x509bundle.NewSet()
	for _, ca := range cas {
		set.Add(x509bundle.FromX509Authorities(spiffeid.RequireTrustDomainFromString(ca.TrustDomain), []*x509.Certificate{ca.Root}))
	}
	return set
}

func sign(t testing.TB, s receipt.Signer, payload string) []byte {
	t.Helper()
	jws, err := receipt.Sign(s, typ, []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return jws
}

func signing(t testing.TB, ca *testca.CA) signer {
	t.Helper()
	return signer(ca.Leaf(t, testca.Leaf{Path: "/signing"}))
}

func TestOpen(t *testing.T) {
	for _, algorithm := range []testca.Algorithm{testca.ECDSA, testca.RSA, testca.Ed25519} {
		for intermediates := range 3 {
			t.Run(fmt.Sprintf("opens_below_%s_with_%d_intermediates", algorithm, intermediates), func(t *testing.T) {
				alfa := testca.New(t, "alfa.example", testca.Options{Algorithm: algorithm, Intermediates: intermediates})
				jws := sign(t, signing(t, alfa), "payload\x00")
				opened, err := receipt.Open(bundles(t, alfa), typ, jws, time.Now())
				if err != nil {
					t.Fatal(err)
				}
				if string(opened.Payload) != "payload\x00" || opened.TrustDomain != "alfa.example" || opened.Leaf == nil {
					t.Errorf("opened %+v", opened)
				}
				content, err := receipt.Content(jws)
				if err != nil || string(content) != "payload\x00" {
					t.Errorf("content is %q, %v", content, err)
				}
			})
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	alfa, bravo := testca.New(t, "alfa.example"), testca.New(t, "bravo.example")
	both := bundles(t, alfa, bravo)
	now := time.Now()
	leaf := func(ca *testca.CA, l testca.Leaf) signer { return signer(ca.Leaf(t, l)) }
	good := sign(t, signing(t, alfa), "payload")
	for name, tt := range map[string]struct {
		jws      []byte
		verifier receipt.Verifier
		now      time.Time
		want     error
	}{
		"a_trust_domain_without_a_bundle": {good, bundles(t, bravo), now, receipt.ErrUntrusted},
		"a_wrong_bundle":                  {good, bundles(t, testca.New(t, "alfa.example"), bravo), now, receipt.ErrUntrusted},
		"our_name_signed_by_the_other_nations_CA": {
			sign(t, leaf(bravo, testca.Leaf{Path: "/signing", TrustDomain: "alfa.example"}), "x"), both, now, receipt.ErrUntrusted,
		},
		"an_expired_leaf": {
			sign(t, leaf(alfa, testca.Leaf{Path: "/signing", NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour)}), "x"),
			both, now, receipt.ErrExpired,
		},
		"a_leaf_that_is_not_valid_yet": {
			sign(t, leaf(alfa, testca.Leaf{Path: "/signing", NotBefore: now.Add(time.Hour), NotAfter: now.Add(2 * time.Hour)}), "x"),
			both, now, receipt.ErrExpired,
		},
		"a_good_leaf_after_its_end": {good, both, now.AddDate(20, 0, 0), receipt.ErrExpired},
		"the_leaf_of_the_relay": {
			sign(t, leaf(alfa, testca.Leaf{Path: "/relay", Algorithm: testca.Ed25519}), "x"), both, now, receipt.ErrSigner,
		},
		"a_longer_path_than_signing": {
			sign(t, leaf(alfa, testca.Leaf{Path: "/signing/x", Algorithm: testca.Ed25519}), "x"), both, now, receipt.ErrSigner,
		},
		"a_leaf_without_a_name": {sign(t, leaf(alfa, testca.Leaf{Algorithm: testca.Ed25519}), "x"), both, now, receipt.ErrSigner},
		"a_changed_payload":     {replacePart(good, 1, encode([]byte("other"))), both, now, receipt.ErrSignature},
		"a_changed_signature":   {replacePart(good, 2, encode(make([]byte, 64))), both, now, receipt.ErrSignature},
		"an_unsigned_statement": {replacePart(withHeader(t, good, "alg", "none"), 2, ""), both, now, receipt.ErrMalformed},
		"a_statement_signed_with_a_shared_secret": {
			hs256(t, good, bravo), both, now, receipt.ErrMalformed,
		},
		"no_chain":                {withHeader(t, good, "x5c", nil), both, now, receipt.ErrMalformed},
		"an_empty_chain":          {withHeader(t, good, "x5c", []string{}), both, now, receipt.ErrMalformed},
		"a_chain_that_is_rubbish": {withHeader(t, good, "x5c", []string{"AAAA"}), both, now, receipt.ErrMalformed},
		"a_key_of_its_own":        {withHeader(t, good, "jwk", map[string]string{"kty": "OKP"}), both, now, receipt.ErrMalformed},
		"too_many_certificates": {
			withHeader(t, good, "x5c", []string{"AA==", "AA==", "AA==", "AA==", "AA=="}), both, now, receipt.ErrMalformed,
		},
		"a_large_certificate": {
			withHeader(t, good, "x5c", []string{strings.Repeat("A", 11<<10)}), both, now, receipt.ErrMalformed,
		},
		"a_large_header":    {withHeader(t, good, "typ", strings.Repeat("A", receipt.MaxHeaderBytes)), both, now, receipt.ErrMalformed},
		"a_large_statement": {append(bytes.Clone(good), bytes.Repeat([]byte("A"), receipt.MaxBytes)...), both, now, receipt.ErrMalformed},
		"two_parts":         {good[:bytes.LastIndexByte(good, '.')], both, now, receipt.ErrMalformed},
		"four_parts":        {append(bytes.Clone(good), ".x"...), both, now, receipt.ErrMalformed},
		"nothing":           {nil, both, now, receipt.ErrMalformed},
		"another_kind":      {withHeader(t, good, "typ", "certlink-other"), both, now, receipt.ErrType},
		"a_kind_put_on_afterwards": {
			withHeader(t, mustSign(t, signing(t, alfa), "certlink-other"), "typ", typ), both, now, receipt.ErrSignature,
		},
	} {
		t.Run(name, func(t *testing.T) {
			opened, err := receipt.Open(tt.verifier, typ, tt.jws, tt.now)
			var typed *receipt.Error
			if !errors.Is(err, tt.want) || !errors.As(err, &typed) {
				t.Errorf("error is %v, want %v", err, tt.want)
			}
			if opened.Payload != nil || opened.TrustDomain != "" {
				t.Errorf("opened %+v", opened)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("error has several lines: %v", err)
			}
		})
	}
}

func TestOpenChainOfTheWrongRoot(t *testing.T) {
	// The chain carries bravo's whole chain behind alfa's name: only the leaf says who it is.
	alfa, bravo := testca.New(t, "alfa.example"), testca.New(t, "bravo.example", testca.Options{Intermediates: 1})
	forged := signer(bravo.Leaf(t, testca.Leaf{Path: "/signing", TrustDomain: "alfa.example"}))
	forged.Chain = append(forged.Chain, alfa.Root)
	_, err := receipt.Open(bundles(t, alfa, bravo), typ, sign(t, forged, "x"), time.Now())
	if !errors.Is(err, receipt.ErrUntrusted) {
		t.Errorf("error is %v", err)
	}
}

func TestSign(t *testing.T) {
	alfa := testca.New(t, "alfa.example")
	t.Run("gives_the_same_bytes_again", func(t *testing.T) {
		s := signing(t, alfa)
		if !bytes.Equal(sign(t, s, "x"), sign(t, s, "x")) {
			t.Error("two statements differ")
		}
	})
	t.Run("refuses_a_key_that_is_not_ed25519", func(t *testing.T) {
		if _, err := receipt.Sign(signer(alfa.Leaf(t, testca.Leaf{Path: "/signing", Algorithm: testca.ECDSA})), typ, nil); err == nil {
			t.Error("it signs")
		}
	})
	t.Run("refuses_to_sign_without_a_certificate", func(t *testing.T) {
		if _, err := receipt.Sign(signer{}, typ, nil); err == nil {
			t.Error("it signs")
		}
	})
	t.Run("carries_the_largest_payload_with_the_longest_chain", func(t *testing.T) {
		deep := testca.New(t, "alfa.example", testca.Options{Algorithm: testca.RSA, Intermediates: 3})
		jws := sign(t, signing(t, deep), strings.Repeat("x", receipt.MaxPayloadBytes))
		if _, err := receipt.Open(bundles(t, deep), typ, jws, time.Now()); err != nil {
			t.Error(err)
		}
	})
	t.Run("refuses_a_payload_that_is_too_long", func(t *testing.T) {
		if _, err := receipt.Sign(signing(t, alfa), typ, make([]byte, receipt.MaxBytes)); err == nil {
			t.Error("it signs")
		}
	})
}

func FuzzOpen(f *testing.F) {
	alfa, bravo := testca.New(f, "alfa.example"), testca.New(f, "bravo.example")
	both := bundles(f, alfa, bravo)
	good := sign(f, signing(f, alfa), "payload")
	f.Add(good)
	f.Add(sign(f, signing(f, bravo), "payload"))
	f.Add(replacePart(good, 1, encode([]byte("other"))))
	f.Add(withHeader(f, good, "typ", "x"))
	f.Add([]byte("e30.e30.AA"))
	now := time.Now()
	f.Fuzz(func(t *testing.T, jws []byte) {
		opened, err := receipt.Open(both, typ, jws, now)
		var typed *receipt.Error
		switch {
		case err != nil && !errors.As(err, &typed):
			t.Errorf("error is of another type: %v", err)
		case err == nil && string(opened.Payload) != "payload":
			t.Errorf("opened %q, which nobody signed", opened.Payload)
		}
		_, _ = receipt.Content(jws)
	})
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func replacePart(jws []byte, i int, part string) []byte {
	parts := strings.Split(string(jws), ".")
	parts[i] = part
	return []byte(strings.Join(parts, "."))
}

// withHeader changes the header and leaves the signature as it is.
func withHeader(t testing.TB, jws []byte, key string, value any) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(string(jws), ".")[0])
	if err != nil {
		t.Fatal(err)
	}
	var h map[string]any
	if err := json.Unmarshal(raw, &h); err != nil {
		t.Fatal(err)
	}
	if h[key] = value; value == nil {
		delete(h, key)
	}
	changed, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	return replacePart(jws, 0, encode(changed))
}

// hs256 signs with the public key as a shared secret, the classic confusion.
func hs256(t testing.TB, jws []byte, ca *testca.CA) []byte {
	t.Helper()
	forged := withHeader(t, jws, "alg", "HS256")
	mac := hmac.New(sha256.New, ca.Root.RawSubjectPublicKeyInfo)
	mac.Write(forged[:bytes.LastIndexByte(forged, '.')])
	return replacePart(forged, 2, encode(mac.Sum(nil)))
}

func mustSign(t testing.TB, s receipt.Signer, typ string) []byte {
	t.Helper()
	jws, err := receipt.Sign(s, typ, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	return jws
}
