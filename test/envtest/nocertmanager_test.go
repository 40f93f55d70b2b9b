// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/certlink/certlink/internal/testca"
)

// TestCertManagerMayComeLater runs the operator in a cluster without
// cert-manager's resources: it says so, and goes on by itself when they come.
func TestCertManagerMayComeLater(t *testing.T) {
	env, err := startServer(os.Getenv("KUBEBUILDER_ASSETS"), crdBases)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	s := &server{Config: rest.CopyConfig(env.Config), Namespace: "cert"}
	if s.Client, err = client.New(s.Config, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	if err := s.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}}); err != nil {
		t.Fatal(err)
	}
	relay := playRelay(t, s, "alfa")
	o := runOperator(t, s, relay.address)
	local, peer := localCERT(s.Namespace, "alfa"), peerCERT(s.Namespace, "bravo", testca.New(t, "bravo.example"))
	for _, object := range []client.Object{local, peer} {
		if err := s.Client.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	s.expect(t, local, "Ready=False/CertManagerMissing", "CertificatesIssued=False/CertManagerMissing", "Stalled=True")
	s.expect(t, peer, "Ready=False", "Connected=Unknown", "Reconciling=True")
	(&nation{server: s}).quiet(t, o)

	crds, err := certManagerCRDs()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := envtest.InstallCRDs(env.Config, envtest.CRDInstallOptions{Paths: []string{crds}, ErrorIfPathMissing: true}); err != nil {
		t.Fatal(err)
	}
	playCertManager(t, s, "alfa.example")
	s.expect(t, local, "CertificatesIssued=True", "!Stalled")
	relay.up(t)
	s.expect(t, local, "Ready=True", "RelayAvailable=True")
	s.expect(t, peer, "Ready=True")
}
