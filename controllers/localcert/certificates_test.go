// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/manifest"
	"github.com/certlink/certlink/internal/card"
	"github.com/certlink/certlink/internal/testca"
)

func local() *v1alpha1.LocalCERT {
	return &v1alpha1.LocalCERT{
		ObjectMeta: metav1.ObjectMeta{Namespace: "cert", Name: "alfa", UID: "0c0ffee0-0000-4000-8000-000000000001", Generation: 1},
		Spec:       v1alpha1.LocalCERTSpec{Identity: v1alpha1.Identity{DisplayName: "CERT Alfa", TrustDomain: "alfa.example"}},
	}
}

// ready is a Certificate as cert-manager leaves it.
func ready(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	for _, c := range manifest.Certificates(local(), nil, manifest.CAIssuer("alfa", 1), 0) {
		if c.GetName() == name {
			c.Object["status"] = map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "True", "message": "up to date"}}}
			return c
		}
	}
	t.Fatalf("there is no certificate %q", name)
	return nil
}

func secret(p testca.Pair) *corev1.Secret {
	return &corev1.Secret{Data: map[string][]byte{"tls.crt": p.CertPEM, "tls.key": p.KeyPEM, "ca.crt": p.CAPEM}}
}

// allIssued are all certificates of alfa, really issued.
func allIssued(t *testing.T, ca *testca.CA) []issued {
	t.Helper()
	all := names(local())
	for i := range all {
		all[i].object = ready(t, all[i].name)
		all[i].secret = secret(ca.Leaf(t, testca.Leaf{Path: all[i].path}))
	}
	return all
}

func TestJudge(t *testing.T) {
	ca, other := testca.New(t, "alfa.example"), testca.New(t, "alfa.example")
	deep := testca.New(t, "alfa.example", testca.Options{Intermediates: 2})
	now := time.Now()
	for name, tc := range map[string]struct {
		ca         *testca.CA
		change     func([]issued)
		issuer     string
		reason     string
		says       string
		deployable bool
	}{
		"all_is_well":            {ca, func([]issued) {}, "", v1alpha1.ReasonCertificatesIssued, "", true},
		"with_two_intermediates": {deep, func([]issued) {}, "", v1alpha1.ReasonCertificatesIssued, "", true},
		"nothing_is_issued_yet":  {ca, func(a []issued) { a[0].secret, a[0].object = nil, nil }, "", v1alpha1.ReasonCertificateNotReady, `"alfa-link"`, false},
		"the_issuer_is_to_blame": {ca, func(a []issued) { a[0].secret = nil }, `there is no Issuer "x"`, v1alpha1.ReasonIssuerNotReady, "there is no Issuer", false},
		"cert_manager_says_why":  {ca, func(a []issued) { a[1].secret = nil; unready(a[1].object, "quota exceeded") }, "", v1alpha1.ReasonCertificateNotReady, "quota exceeded", false},
		"a_renewal_is_under_way": {ca, func(a []issued) { unready(a[2].object, "issuing") }, "", v1alpha1.ReasonCertificateNotReady, "issuing", true},
		"an_issuer_without_a_CA": {ca, func(a []issued) { delete(a[0].secret.Data, "ca.crt") }, "", v1alpha1.ReasonCertificateInvalid, "choose an issuer", false},
		"another_CA":             {ca, func(a []issued) { a[0].secret.Data["ca.crt"] = []byte(other.Bundle()) }, "", v1alpha1.ReasonCertificateInvalid, "does not chain", false},
		"another_key":            {ca, func(a []issued) { a[0].secret.Data["tls.key"] = a[1].secret.Data["tls.key"] }, "", v1alpha1.ReasonCertificateInvalid, "key pair", false},
		"expired": {ca, func(a []issued) {
			a[0].secret = secret(ca.Leaf(t, testca.Leaf{Path: "/relay", NotAfter: now.Add(-time.Minute)}))
		}, "", v1alpha1.ReasonCertificateInvalid, "valid from", false},
		"not_valid_yet": {ca, func(a []issued) {
			a[0].secret = secret(ca.Leaf(t, testca.Leaf{Path: "/relay", NotBefore: now.Add(time.Hour)}))
		}, "", v1alpha1.ReasonCertificateInvalid, "valid from", false},
		"another_role": {ca, func(a []issued) { a[0].secret = secret(ca.Leaf(t, testca.Leaf{Path: "/desk"})) }, "", v1alpha1.ReasonCertificateInvalid, "spiffe://alfa.example/relay", false},
		"another_trust_domain": {ca, func(a []issued) {
			a[0].secret = secret(ca.Leaf(t, testca.Leaf{Path: "/relay", TrustDomain: "bravo.example"}))
		}, "", v1alpha1.ReasonCertificateInvalid, "spiffe://alfa.example/relay", false},
		"an_issuer_without_URIs": {ca, func(a []issued) { a[0].secret = secret(ca.Leaf(t, testca.Leaf{})) }, "", v1alpha1.ReasonCertificateInvalid, "must allow URI", false},
		"what_is_no_certificate": {ca, func(a []issued) { a[0].secret.Data["tls.crt"] = []byte("x") }, "", v1alpha1.ReasonCertificateInvalid, "key pair", false},
	} {
		t.Run(name, func(t *testing.T) {
			all := allIssued(t, tc.ca)
			tc.change(all)
			m := judge(all, tc.issuer, false, now)
			if m.fact.Reason != tc.reason || !strings.Contains(m.fact.Message, tc.says) || m.deployable != tc.deployable {
				t.Errorf("got %+v, deployable %v; want %s with %q, deployable %v", m.fact, m.deployable, tc.reason, tc.says, tc.deployable)
			}
		})
	}
}

func unready(o *unstructured.Unstructured, message string) {
	o.Object["status"] = map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "False", "message": message}}}
}

func TestMaterial(t *testing.T) {
	before, after := testca.New(t, "alfa.example"), testca.New(t, "alfa.example")
	all := allIssued(t, before)
	soon := time.Now().Add(time.Hour).Truncate(time.Second)
	all[2].secret = secret(before.Leaf(t, testca.Leaf{Path: "/signing", NotAfter: soon}))
	m := judge(all, "", false, time.Now())
	if !m.notAfter.Equal(soon) {
		t.Errorf("the earliest end is %v, want %v", m.notAfter, soon)
	}
	t.Run("while_a_CA_replaces_another_both_are_on_the_card", func(t *testing.T) {
		all[0].secret = secret(after.Leaf(t, testca.Leaf{Path: "/relay"}))
		both := judge(all, "", false, time.Now())
		if len(both.authorities) != 2 {
			t.Errorf("there are %d authorities", len(both.authorities))
		}
		if both.digest == m.digest {
			t.Error("a new certificate of the relay does not show in the digest")
		}
		if card.Fingerprint("alfa.example", both.authorities) == card.Fingerprint("alfa.example", m.authorities) {
			t.Error("a new CA does not show in the fingerprint")
		}
	})
	t.Run("what_the_relay_does_not_mount_does_not_refresh_it", func(t *testing.T) {
		digest := judge(all, "", false, time.Now()).digest
		all[4].secret = secret(before.Leaf(t, testca.Leaf{Path: "/desk"}))
		if judge(all, "", false, time.Now()).digest != digest {
			t.Error("the desk's certificate shows in the digest")
		}
	})
}
