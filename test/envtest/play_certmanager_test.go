// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/internal/testca"
)

// certManager plays cert-manager in one namespace: every Certificate is really
// signed by one CA, every Issuer is ready.
type certManager struct {
	client    client.Client
	namespace string
	ca        *testca.CA
	cas       map[string]*testca.CA // of our own, by the name of their Secret; the first is ca
}

// playCertManager signs until the test ends.
func playCertManager(t *testing.T, s *server, trustDomain string) *certManager {
	t.Helper()
	m := &certManager{client: s.Client, namespace: s.Namespace, ca: testca.New(t, trustDomain), cas: map[string]*testca.CA{}}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := m.step(ctx); err != nil && ctx.Err() == nil && !apierrors.IsConflict(err) {
				t.Errorf("playing cert-manager: %v", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() { stop(); <-done })
	return m
}

func (m *certManager) step(ctx context.Context) error {
	var issuers certmanagerv1.IssuerList
	if err := m.client.List(ctx, &issuers, client.InNamespace(m.namespace)); err != nil {
		return err
	}
	for i := range issuers.Items {
		if is := &issuers.Items[i]; len(is.Status.Conditions) == 0 {
			is.Status.Conditions = []certmanagerv1.IssuerCondition{{Type: "Ready", Status: cmmeta.ConditionTrue, Reason: "Played"}}
			if err := m.client.Status().Update(ctx, is); err != nil {
				return err
			}
		}
	}
	var certificates certmanagerv1.CertificateList
	if err := m.client.List(ctx, &certificates, client.InNamespace(m.namespace)); err != nil {
		return err
	}
	for i := range certificates.Items {
		if err := m.issue(ctx, &certificates.Items[i]); err != nil {
			return err
		}
	}
	return nil
}

// issue signs a certificate for its present generation, once.
func (m *certManager) issue(ctx context.Context, c *certmanagerv1.Certificate) error {
	for _, have := range c.Status.Conditions {
		if have.Type == "Ready" && have.Status == cmmeta.ConditionTrue && have.ObservedGeneration == c.Generation {
			return nil
		}
	}
	ca, err := m.authority(c)
	if err != nil {
		return err
	}
	data := map[string][]byte{corev1.TLSCertKey: []byte(ca.Bundle()), corev1.TLSPrivateKeyKey: []byte("the CA keeps it"), "ca.crt": []byte(ca.Bundle())}
	notAfter := ca.Root.NotAfter
	if !c.Spec.IsCA {
		pair, err := sign(ca, c)
		if err != nil {
			return err
		}
		data = map[string][]byte{corev1.TLSCertKey: pair.CertPEM, corev1.TLSPrivateKeyKey: pair.KeyPEM, "ca.crt": pair.CAPEM}
		notAfter = pair.Chain[0].NotAfter
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: c.Spec.SecretName, Labels: c.Spec.SecretTemplate.Labels, Annotations: map[string]string{
			certmanagerv1.CertificateNameKey: c.Name, certmanagerv1.IssuerNameAnnotationKey: c.Spec.IssuerRef.Name, certmanagerv1.IssuerKindAnnotationKey: c.Spec.IssuerRef.Kind,
		}},
		Type: corev1.SecretTypeTLS,
		Data: data,
	}
	err = m.client.Create(ctx, secret)
	if apierrors.IsAlreadyExists(err) {
		err = m.client.Update(ctx, secret)
	}
	if err != nil {
		return err
	}
	end := metav1.NewTime(notAfter)
	c.Status.NotAfter = &end
	c.Status.Conditions = []certmanagerv1.CertificateCondition{{
		Type: "Ready", Status: cmmeta.ConditionTrue, Reason: "Played", ObservedGeneration: c.Generation,
	}}
	return m.client.Status().Update(ctx, c)
}

// authority is the CA that signs a certificate. One of our own is made with its
// Certificate; all other issuers have the same.
func (m *certManager) authority(c *certmanagerv1.Certificate) (*testca.CA, error) {
	if own := m.cas[c.Spec.IssuerRef.Name]; own != nil {
		return own, nil
	}
	if !c.Spec.IsCA || m.cas[c.Spec.SecretName] != nil {
		return cmp.Or(m.cas[c.Spec.SecretName], m.ca), nil
	}
	if len(m.cas) == 0 {
		m.cas[c.Spec.SecretName] = m.ca
		return m.ca, nil
	}
	ca, err := testca.Make(m.ca.TrustDomain, testca.Options{})
	m.cas[c.Spec.SecretName] = ca
	return ca, err
}

func sign(ca *testca.CA, c *certmanagerv1.Certificate) (testca.Pair, error) {
	if len(c.Spec.URIs) != 1 {
		return testca.Pair{}, fmt.Errorf("certificate %q asks for URIs %q, want one", c.Name, c.Spec.URIs)
	}
	id, err := url.Parse(c.Spec.URIs[0])
	if err != nil {
		return testca.Pair{}, err
	}
	leaf := testca.Leaf{TrustDomain: id.Host, Path: id.Path, DNSNames: c.Spec.DNSNames}
	if c.Spec.PrivateKey.Algorithm == certmanagerv1.Ed25519KeyAlgorithm {
		leaf.Algorithm = testca.Ed25519
	}
	for _, ip := range c.Spec.IPAddresses {
		leaf.IPs = append(leaf.IPs, net.ParseIP(ip))
	}
	return ca.Issue(leaf)
}

// reissue has every certificate of a name signed again.
func (m *certManager) reissue(t *testing.T, name string) {
	t.Helper()
	eventually(t, "the certificate is marked for renewal", func() error {
		var c certmanagerv1.Certificate
		if err := m.client.Get(t.Context(), client.ObjectKey{Namespace: m.namespace, Name: name}, &c); err != nil {
			return err
		}
		c.Status.Conditions = nil
		return m.client.Status().Update(t.Context(), &c)
	})
}
