// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/card"
	"github.com/certlink/certlink/internal/testca"
)

func writeCard(t *testing.T, ca *testca.CA) (path, fingerprint string) {
	t.Helper()
	c := card.Card{
		Name:      "bravo",
		Identity:  v1alpha1.Identity{DisplayName: "CERT Bravo", TrustDomain: ca.TrustDomain},
		Endpoints: []v1alpha1.Endpoint{{Address: "relay.bravo.example:8443"}},
		Bundle:    ca.Bundle(),
	}
	content, err := card.Build(c)
	if err != nil {
		t.Fatal(err)
	}
	if fingerprint, err = c.Fingerprint(); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "bravo.yaml")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, fingerprint
}

func TestPeerAdd(t *testing.T) {
	path, fingerprint := writeCard(t, testca.New(t, "bravo.example"))
	t.Run("writes_the_manifest_and_says_to_compare_the_fingerprint", func(t *testing.T) {
		o, s := setup(t)
		o.now = time.Now
		*o.kube.Namespace = "duty"
		if err := o.addPeer(t.Context(), path, &addFlags{name: "north"}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"kind: PeerCERT", "name: north", "namespace: duty", "trustDomain: bravo.example", "address: relay.bravo.example:8443", "BEGIN CERTIFICATE"} {
			if !strings.Contains(s.out.String(), want) {
				t.Errorf("the manifest lacks %q:\n%s", want, s.out)
			}
		}
		for _, never := range []string{"status:", "creationTimestamp"} {
			if strings.Contains(s.out.String(), never) {
				t.Errorf("the manifest holds %q:\n%s", never, s.out)
			}
		}
		for _, want := range []string{"Fingerprint: " + fingerprint, "telephone"} {
			if !strings.Contains(s.errOut.String(), want) {
				t.Errorf("standard error lacks %q:\n%s", want, s.errOut)
			}
		}
	})
	t.Run("accepts_the_expected_fingerprint_however_it_is_spaced", func(t *testing.T) {
		o, s := setup(t)
		o.now = time.Now
		err := o.addPeer(t.Context(), path, &addFlags{expect: strings.ToUpper(strings.ReplaceAll(fingerprint, " ", ""))})
		expect(t, err, "")
		if strings.Contains(s.errOut.String(), "telephone") {
			t.Error("it asks to compare what was compared")
		}
	})
	t.Run("refuses_another_fingerprint", func(t *testing.T) {
		o, s := setup(t)
		_, other := writeCard(t, testca.New(t, "bravo.example"))
		expect(t, o.addPeer(t.Context(), path, &addFlags{expect: other}), "not the expected one")
		if s.out.Len() > 0 {
			t.Errorf("it wrote %s", s.out)
		}
	})
	t.Run("refuses_a_card_whose_CA_has_expired", func(t *testing.T) {
		o, s := setup(t)
		o.now = func() time.Time { return time.Now().AddDate(100, 0, 0) }
		expect(t, o.addPeer(t.Context(), path, &addFlags{}), "no CA certificate of the card is valid now")
		if !strings.Contains(s.errOut.String(), "expired on") {
			t.Errorf("standard error is %s", s.errOut)
		}
	})
	t.Run("refuses_what_is_no_card", func(t *testing.T) {
		o, s := setup(t)
		s.in.WriteString("kind: Secret\n")
		expect(t, o.addPeer(t.Context(), "-", &addFlags{}), `reading card "-"`)
	})
}

func TestCardOutput(t *testing.T) {
	cert := local("alfa", time.Hour)
	output := asTable
	t.Run("a_CERT_without_card_yet_is_told", func(t *testing.T) {
		o, _ := setup(t)
		expect(t, o.printCard(cert, &output), `LocalCERT "alfa" has no card yet`)
	})
	cert.Status.Card, cert.Status.Fingerprint = "kind: PeerCERT\n", "0123 4567"
	t.Run("the_card_alone_goes_to_standard_output", func(t *testing.T) {
		o, s := setup(t)
		if err := o.printCard(cert, &output); err != nil {
			t.Fatal(err)
		}
		if s.out.String() != cert.Status.Card || !strings.Contains(s.errOut.String(), "Fingerprint: 0123 4567\n") {
			t.Errorf("got %q and %q", s.out, s.errOut)
		}
	})
	t.Run("programs_get_it_with_its_fingerprint", func(t *testing.T) {
		o, s := setup(t)
		output := asYAML
		if err := o.printCard(cert, &output); err != nil {
			t.Fatal(err)
		}
		golden(t, "card.yaml", s.out.String())
	})
}
