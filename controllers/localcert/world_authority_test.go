// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/manifest"
	"github.com/certlink/certlink/internal/testca"
)

// sign is one step of cert-manager: what it does about one Certificate.
func (w *world) sign(name string) {
	w.t.Helper()
	w.clock = w.clock.Add(time.Second)
	c := &unstructured.Unstructured{}
	c.SetGroupVersionKind(manifest.CertificateKind)
	if err := w.raw.Get(w.t.Context(), client.ObjectKey{Namespace: "cert", Name: name}, c); err != nil {
		return
	}
	issuer, _, _ := unstructured.NestedString(c.Object, "spec", "issuerRef", "name")
	duration, _, _ := unstructured.NestedString(c.Object, "spec", "duration")
	secret := &corev1.Secret{}
	err := w.raw.Get(w.t.Context(), client.ObjectKey{Namespace: "cert", Name: name}, secret)
	want := issuer + " " + duration
	if err == nil && w.issuedAs[name] == want {
		w.mark(c, "True", "up to date")
		return
	}
	if !w.marked(c, "False") { // it says so before it issues
		w.mark(c, "False", "Issuing certificate as Secret was previously issued by another issuer")
		return
	}
	if why := w.refuses[issuer]; why != "" {
		w.mark(c, "False", why)
		return
	}
	secret.ObjectMeta = metav1.ObjectMeta{Namespace: "cert", Name: name, ResourceVersion: secret.ResourceVersion, Annotations: map[string]string{
		annotationIssuerName: issuer, annotationIssuerKind: "Issuer", annotationCertificate: name,
	}}
	if secret.Data = w.content(c, name, issuer); secret.Data == nil {
		return
	}
	if apierrors.IsNotFound(err) {
		err = w.raw.Create(w.t.Context(), secret)
	} else {
		err = w.raw.Update(w.t.Context(), secret)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.issuedAs[name] = want
}

// content of a Secret as cert-manager writes it; nil when the issuer is not there.
func (w *world) content(c *unstructured.Unstructured, name, issuer string) map[string][]byte {
	w.t.Helper()
	if isCA, _, _ := unstructured.NestedBool(c.Object, "spec", "isCA"); isCA {
		w.own[name] = testca.New(w.t, "alfa.example", testca.Options{NotBefore: w.clock.Add(-time.Hour), NotAfter: w.clock.AddDate(10, 0, 0)})
		pem := testca.EncodeCertificates(w.own[name].Root)
		return map[string][]byte{"tls.crt": pem, "tls.key": []byte("the CA keeps it"), "ca.crt": pem}
	}
	ca := w.external[issuer]
	if own := w.own[issuer]; own != nil && w.there("Secret", issuer) {
		ca = own
	}
	if ca == nil {
		return nil
	}
	path := map[string]string{"alfa-link": "/relay", "alfa-local": "/local", "alfa-signing": "/signing", "alfa-operator": "/operator", "alfa-desk": "/desk", "alfa-canary": "/canary"}[name]
	if officer, ok := strings.CutPrefix(name, "alfa-desk-"); ok {
		path = "/desk/" + officer
	}
	p := ca.Leaf(w.t, testca.Leaf{Path: path, NotBefore: w.clock.Add(-time.Second), NotAfter: w.clock.AddDate(0, 3, 0)})
	return map[string][]byte{"tls.crt": p.CertPEM, "tls.key": p.KeyPEM, "ca.crt": p.CAPEM}
}

func (w *world) there(kind, name string) bool {
	group := ""
	if kind == "Issuer" || kind == "Certificate" {
		group = manifest.CertificateKind.Group
	}
	return w.raw.objects[item{schema.GroupKind{Group: group, Kind: kind}, client.ObjectKey{Namespace: "cert", Name: name}}] != nil
}

func (w *world) marked(c *unstructured.Unstructured, state string) bool {
	got, _ := condition(c, "Ready")
	return got == state && observed(c, "Ready") == c.GetGeneration()
}

func (w *world) mark(c *unstructured.Unstructured, state, message string) {
	w.t.Helper()
	if got, said := condition(c, "Ready"); got == state && said == message && observed(c, "Ready") == c.GetGeneration() {
		return
	}
	c.Object["status"] = map[string]any{"conditions": []any{map[string]any{
		"type": "Ready", "status": state, "message": message, "observedGeneration": c.GetGeneration(),
	}}}
	if err := w.raw.Update(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
}

// renew has cert-manager issue a certificate anew.
func (w *world) renew(name string) { delete(w.issuedAs, name) }

// renewAll has cert-manager issue every leaf anew, as it does in time.
func (w *world) renewAll() {
	for name := range w.certificates() {
		if manifest.CAGeneration("alfa", v1alpha1.IssuerInUse{Kind: "Issuer", Name: name}) == 0 {
			w.renew(name)
		}
	}
}
