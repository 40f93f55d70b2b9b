// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/status"
)

// caKey of a Secret holds the certificates of the CA that signed it.
const caKey = "ca.crt"

// issued is one certificate of ours as it was found.
type issued struct {
	name   string
	path   string // of the SPIFFE ID
	object *unstructured.Unstructured
	secret *corev1.Secret
}

// material is what can be used of our certificates.
type material struct {
	// fact is the condition CertificatesIssued.
	fact status.Fact
	// deployable: the relay and the operator have what they need to begin.
	deployable bool
	// readable: the operator has what it needs to read the report of a relay.
	readable bool
	// authorities are the CA certificates of all of them.
	authorities []*x509.Certificate
	// notAfter is the earliest end of validity; zero when there is nothing.
	notAfter time.Time
	// digest changes when a certificate that the relay mounts does.
	digest string
}

// judge looks at all certificates of ours. The first that is not as it should
// be gives the reason. Switching: a rotation has another issuer sign all of them, and
// says itself how far that is; those of before are good until then.
func judge(all []issued, issuerFault string, switching bool, now time.Time) material {
	m := material{deployable: true}
	seen := map[string]bool{}
	digest := sha256.New()
	var first *status.Fact
	for _, c := range all {
		fact, usable := c.judge(now)
		if fact != nil && first == nil && (!usable || !switching) {
			first = fact
		}
		if !usable {
			m.deployable = m.deployable && c.ofOfficer()
			continue
		}
		if c.path != "/operator" && c.path != "/desk" && !c.ofOfficer() {
			digest.Write(c.secret.Data[corev1.TLSCertKey])
			digest.Write(c.secret.Data[caKey])
		}
		chain, roots := parse(c.secret.Data[corev1.TLSCertKey]), parse(c.secret.Data[caKey])
		m.readable = m.readable || c.path == "/operator"
		for _, cert := range append(chain, roots...) {
			if m.notAfter.IsZero() || cert.NotAfter.Before(m.notAfter) {
				m.notAfter = cert.NotAfter
			}
		}
		for _, root := range roots {
			if !seen[string(root.Raw)] {
				seen[string(root.Raw)] = true
				m.authorities = append(m.authorities, root)
			}
		}
	}
	m.digest = hex.EncodeToString(digest.Sum(nil))
	m.fact = issuedFact(first, issuerFault)
	return m
}

// issuedFact is the condition CertificatesIssued, by the first certificate that is not as it
// should be.
func issuedFact(first *status.Fact, issuerFault string) status.Fact {
	switch {
	case first == nil:
		return status.Fact{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonCertificatesIssued, Message: "every certificate is issued and valid"}
	case issuerFault != "" && first.Reason == v1alpha1.ReasonCertificateNotReady:
		return status.Fact{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonIssuerNotReady, Message: issuerFault}
	}
	return *first
}

// judge returns what is wrong with a certificate, nil if nothing is, and
// whether it can be used all the same.
func (c issued) judge(now time.Time) (*status.Fact, bool) {
	if c.secret == nil || len(c.secret.Data[corev1.TLSCertKey]) == 0 {
		return c.fault(v1alpha1.ReasonCertificateNotReady, "cert-manager has not issued it yet%s", c.said()), false
	}
	if why := c.invalid(now); why != "" {
		return c.fault(v1alpha1.ReasonCertificateInvalid, "%s", why), false
	}
	if ready, _ := condition(c.object, "Ready"); ready != "True" {
		return c.fault(v1alpha1.ReasonCertificateNotReady, "cert-manager is not done with it%s", c.said()), true
	}
	return nil, true
}

func (c issued) fault(reason, format string, args ...any) *status.Fact {
	return &status.Fact{
		Status:  metav1.ConditionFalse,
		Reason:  reason,
		Message: fmt.Sprintf("Certificate %q: ", c.name) + fmt.Sprintf(format, args...),
	}
}

// said is what cert-manager says of the certificate, as the end of a sentence.
func (c issued) said() string {
	for _, name := range []string{"Issuing", "Ready"} {
		if _, message := condition(c.object, name); message != "" {
			return ": " + message
		}
	}
	return ""
}

// invalid says why an issued certificate cannot be used.
func (c issued) invalid(now time.Time) string {
	data := c.secret.Data
	if len(data[caKey]) == 0 {
		return fmt.Sprintf("Secret %q has no %s; choose an issuer that gives its CA certificate, as a CA issuer does", c.name, caKey)
	}
	pair, err := tls.X509KeyPair(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return fmt.Sprintf("Secret %q holds no usable key pair: %v", c.name, err)
	}
	leaf := pair.Leaf
	if now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		return fmt.Sprintf("it is valid from %s to %s only; see why cert-manager has not renewed it",
			leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	if _, err := verify(parse(data[corev1.TLSCertKey]), parse(data[caKey]), now); err != nil {
		return fmt.Sprintf("it does not chain to the CA in %s of its Secret: %v; renew it", caKey, err)
	}
	want, _ := manifestURI(c.object, c.path)
	if len(leaf.URIs) != 1 || !strings.HasSuffix(leaf.URIs[0].String(), c.path) || want != "" && leaf.URIs[0].String() != want {
		return fmt.Sprintf("it does not carry %s as its only URI; the issuer must allow URI names", want)
	}
	return ""
}

// verify a chain, leaf first, as a peer would.
func verify(chain, authorities []*x509.Certificate, now time.Time) ([][]*x509.Certificate, error) {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, cert := range authorities {
		roots.AddCert(cert)
	}
	for _, cert := range chain[1:] {
		between.AddCert(cert)
	}
	return chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
}

// settled tells whether cert-manager is done with the present form of the Certificate.
func (c issued) settled() bool {
	state, _ := condition(c.object, "Ready")
	return state == "True" && observed(c.object, "Ready") == c.object.GetGeneration()
}

// askedOf is the issuer that a Certificate asks; nil when there is none.
func askedOf(c issued) *v1alpha1.IssuerInUse {
	if c.object == nil {
		return nil
	}
	name, _, _ := unstructured.NestedString(c.object.Object, "spec", "issuerRef", "name")
	kind, _, _ := unstructured.NestedString(c.object.Object, "spec", "issuerRef", "kind")
	if name == "" {
		return nil
	}
	ref := normal(v1alpha1.IssuerReference{Kind: kind, Name: name})
	return &ref
}

// manifestURI is the SPIFFE ID that was asked for.
func manifestURI(o *unstructured.Unstructured, path string) (string, bool) {
	if o == nil {
		return "", false
	}
	uris, _, err := unstructured.NestedStringSlice(o.Object, "spec", "uris")
	if err != nil || len(uris) != 1 || !strings.HasSuffix(uris[0], path) {
		return "", false
	}
	return uris[0], true
}

// condition of a resource of cert-manager.
func condition(o *unstructured.Unstructured, name string) (state, message string) {
	c := conditionOf(o, name)
	state, _ = c["status"].(string)
	message, _ = c["message"].(string)
	return state, message
}

// observed is the generation that a condition of a resource of cert-manager is about.
func observed(o *unstructured.Unstructured, name string) int64 {
	generation, _ := conditionOf(o, name)["observedGeneration"].(int64)
	return generation
}

func conditionOf(o *unstructured.Unstructured, name string) map[string]any {
	if o == nil {
		return nil
	}
	list, _, err := unstructured.NestedSlice(o.Object, "status", "conditions")
	if err != nil {
		return nil
	}
	for _, each := range list {
		if c, ok := each.(map[string]any); ok && c["type"] == name {
			return c
		}
	}
	return nil
}

// parse reads the certificates of a PEM file, as far as they can be read.
func parse(data []byte) []*x509.Certificate {
	var out []*x509.Certificate
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return out
		}
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil && block.Type == "CERTIFICATE" {
			out = append(out, cert)
		}
	}
}

// names of our certificates with the paths of their SPIFFE IDs. The first is that of the link.
func names(l *v1alpha1.LocalCERT) []issued {
	n := namesOf(l)
	out := []issued{
		{name: n.Link, path: "/relay"},
		{name: n.LocalPort, path: "/local"},
		{name: n.Signing, path: "/signing"},
		{name: n.Operator, path: "/operator"},
	}
	if shared(l) {
		out = append(out, issued{name: n.Desk, path: "/desk"})
	}
	return append(out, officers(l)...)
}
