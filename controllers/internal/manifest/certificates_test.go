// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
)

func TestEachGenerationOfTheCAHasObjectsOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, generation := range []int32{1, 2, 3, 10000} {
		objects := CA(minimal(), generation)
		certificate, issuer := objects[1], objects[2]
		if certificate.GetName() != issuer.GetName() || seen[issuer.GetName()] {
			t.Errorf("generation %d: Certificate %q, Issuer %q", generation, certificate.GetName(), issuer.GetName())
		}
		seen[issuer.GetName()] = true
		if got := CAGeneration("alfa", CAIssuer("alfa", generation)); got != generation {
			t.Errorf("generation %d is found again as %d", generation, got)
		}
	}
}

func TestIssuersOfOthersAreNoCAOfOurs(t *testing.T) {
	for _, other := range []v1alpha1.IssuerInUse{
		{Kind: "Issuer", Name: "national"}, {Kind: "ClusterIssuer", Name: "alfa-ca"}, {Kind: "Issuer", Name: "alfa-ca-1"},
		{Kind: "Issuer", Name: "alfa-ca-02"}, {Kind: "Issuer", Name: "alfa-ca-x"}, {Kind: "Issuer", Name: "alfa-ca-"}, {Kind: "Issuer", Name: "alfa-ca--2"},
		{Kind: "Issuer", Name: "bravo-ca"}, {},
	} {
		if got := CAGeneration("alfa", other); got != 0 {
			t.Errorf("%+v counts as generation %d", other, got)
		}
	}
}

// TestCertManagerNeverReplacesARootInPlace: what the root's own Certificate asks for
// leaves that to the operator.
func TestCertManagerNeverReplacesARootInPlace(t *testing.T) {
	spec := CA(minimal(), 2)[1]
	before, err := time.ParseDuration(text(t, spec, "spec", "renewBefore"))
	if err != nil || before > 5*time.Minute {
		t.Errorf("cert-manager would replace it %v (%v) before its end", before, err)
	}
	if policy := text(t, spec, "spec", "privateKey", "rotationPolicy"); policy != "Never" {
		t.Errorf("another certificate of it would have another key: %s", policy)
	}
}

func TestAReissueChangesWhatCertManagerComparesAndNothingElse(t *testing.T) {
	issuer := CAIssuer("alfa", 1)
	for i, before := range Certificates(minimal(), nil, issuer, 0) {
		after := Certificates(minimal(), nil, issuer, 1)[i]
		old, _ := time.ParseDuration(text(t, before, "spec", "duration"))
		young, _ := time.ParseDuration(text(t, after, "spec", "duration"))
		if young-old != time.Second {
			t.Errorf("%s: duration goes from %v to %v", before.GetName(), old, young)
		}
		unstructured.RemoveNestedField(before.Object, "spec", "duration")
		unstructured.RemoveNestedField(after.Object, "spec", "duration")
		if a, _ := before.MarshalJSON(); string(a) != string(must(after.MarshalJSON())) {
			t.Errorf("%s: more than the duration changes", before.GetName())
		}
	}
}

func must(data []byte, _ error) []byte { return data }

func text(t *testing.T, o *unstructured.Unstructured, fields ...string) string {
	t.Helper()
	value, found, err := unstructured.NestedString(o.Object, fields...)
	if err != nil || !found {
		t.Fatalf("%s has no %v: %v", o.GetName(), fields, err)
	}
	return value
}

func TestEachSecretOfALocalCERTIsReserved(t *testing.T) {
	n := NamesOf("alfa")
	for _, name := range []string{n.Link, n.LocalPort, n.Signing, n.Operator, n.Desk, n.Officer("eve"), n.Canary, CAName("alfa", 1), CAName("alfa", 7)} {
		if !relayconfig.Reserved("alfa", name) {
			t.Errorf("a feed could have the relay mount Secret %q", name)
		}
	}
}
