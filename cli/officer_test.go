// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/internal/relayclient/relaytest"
	"github.com/certlink/certlink/internal/testca"
)

// desked is alfa with the officers eve and rob.
func desked(ca *testca.CA, shared v1alpha1.Permission) *v1alpha1.LocalCERT {
	cert := local("alfa", time.Hour)
	cert.Status.Authority.Bundle = ca.Bundle()
	cert.Spec.Desk = v1alpha1.DeskSpec{SharedCertificate: shared, Officers: []v1alpha1.Officer{{Name: "eve"}, {Name: "rob", DisplayName: "Rob Example"}}}
	cert.Status.Officers = []v1alpha1.OfficerStatus{{Name: "eve", SecretName: "alfa-desk-eve"}, {Name: "rob", SecretName: "alfa-desk-rob"}}
	return cert
}

func TestTheCertificateOfTheOfficerIsChosen(t *testing.T) {
	ca := testca.New(t, relaytest.TrustDomain)
	secret := func(name, path string) *corev1.Secret {
		p := ca.Leaf(t, testca.Leaf{Path: path})
		return &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "duty", Name: name},
			Data:       map[string][]byte{"tls.crt": p.CertPEM, "tls.key": p.KeyPEM, "ca.crt": p.CAPEM},
		}
	}
	shared, eve, rob := secret("alfa-desk", "/desk"), secret("alfa-desk-eve", "/desk/eve"), secret("alfa-desk-rob", "/desk/rob")
	dir := t.TempDir()
	card := ca.Leaf(t, testca.Leaf{Path: "/desk/rob"})
	files := deskFlags{certificate: filepath.Join(dir, "card.crt"), key: filepath.Join(dir, "card.key")}
	for path, data := range map[string][]byte{files.certificate: card.CertPEM, files.key: card.KeyPEM} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const rest = "spiffe://" + relaytest.TrustDomain
	for name, test := range map[string]struct {
		flags             deskFlags
		shared            v1alpha1.Permission
		secrets           []client.Object
		id, called, fault string
	}{
		"the_only_one_that_may_be_read":                {secrets: []client.Object{rob}, id: rest + "/desk/rob", called: "Rob Example"},
		"the_one_that_is_named":                        {flags: deskFlags{officer: "eve"}, secrets: []client.Object{shared, eve, rob}, id: rest + "/desk/eve", called: "eve"},
		"the_shared_one_for_who_may_read_all":          {secrets: []client.Object{shared, eve, rob}, id: rest + "/desk"},
		"the_shared_one_with_a_name_for_messages":      {flags: deskFlags{officer: "Officer One"}, secrets: []client.Object{shared}, id: rest + "/desk"},
		"that_of_a_file":                               {flags: files, id: rest + "/desk/rob", called: "Rob Example"},
		"none_when_several_could_be_meant":             {shared: v1alpha1.Denied, secrets: []client.Object{eve, rob}, fault: "say who you are with --officer, one of eve, rob"},
		"none_when_none_may_be_read":                   {shared: v1alpha1.Denied, fault: "RBAC lets you read the Secret of no officer"},
		"none_for_a_name_that_is_not_there":            {flags: deskFlags{officer: "mallory"}, shared: v1alpha1.Denied, fault: `no officer "mallory": it has eve, rob`},
		"none_when_that_of_the_name_may_not_be_read":   {flags: deskFlags{officer: "eve"}, secrets: []client.Object{rob}, fault: `there is no Secret "alfa-desk-eve"`},
		"none_when_the_file_of_the_certificate_is_not": {flags: deskFlags{certificate: filepath.Join(dir, "none"), key: files.key}, fault: "reading the officer's certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSession(t, "", test.secrets...)
			s.flags = test.flags
			c, err := s.credentials(t.Context(), desked(ca, test.shared))
			expect(t, err, test.fault)
			if err == nil && (c.Identity() != test.id || s.named != test.called) {
				t.Errorf("got %q, called %q; want %q, %q", c.Identity(), s.named, test.id, test.called)
			}
			refused := s.explain(&relayclient.Error{Status: 403})
			if misspelt := err == nil && test.flags.officer != "" && test.called == ""; misspelt != strings.Contains(refused.Error(), `has no officer "Officer One": it has eve, rob`) {
				t.Errorf("a refusal says %q", refused)
			}
			if test.called == "" || err != nil {
				return
			}
			if name, err := s.officer(t.Context(), "somebody else"); err != nil || name != test.called {
				t.Errorf("messages name %q, %v", name, err)
			}
		})
	}
}
