// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"math/rand/v2"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/manifest"
	"github.com/certlink/certlink/internal/testca"
)

func TestAnotherIssuerIsTakenInStepsToo(t *testing.T) {
	national := func(name string) func(*v1alpha1.LocalCERT) {
		return func(l *v1alpha1.LocalCERT) { l.Spec.IssuerRef = &v1alpha1.IssuerReference{Name: name} }
	}
	own := func(l *v1alpha1.LocalCERT) { l.Spec.IssuerRef = nil }
	for name, tc := range map[string]struct {
		from, to   func(*v1alpha1.LocalCERT)
		was, wants string
	}{
		"from_our_own_to_another":  {own, national("national"), "alfa-ca", "national"},
		"from_another_to_our_own":  {national("national"), own, "national", "alfa-ca"},
		"from_one_to_another":      {national("national"), national("second"), "national", "second"},
		"to_one_of_the_same_root":  {national("national"), national("again"), "national", "again"},
		"and_back_to_the_one_used": {national("second"), national("national"), "second", "national"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.from, "bravo")
			w.external["national"], w.external["second"] = testca.New(t, "alfa.example"), testca.New(t, "alfa.example")
			w.external["again"] = w.external["national"]
			w.until("alfa is in peace", inOrder, w.done(tc.was))
			w.edit(tc.to)
			w.until("the issuer is replaced", inOrder, w.done(tc.wants))
			w.quiet()
			if own := w.there("Secret", "alfa-ca"); own != (tc.wants == "alfa-ca") {
				t.Errorf("the key of our own CA is there: %v", own)
			}
		})
	}
}

func TestAnIssuerThatCannotSignIsFoundBeforeAnythingDependsOnIt(t *testing.T) {
	w := newWorld(t, func(l *v1alpha1.LocalCERT) { l.Spec.IssuerRef = &v1alpha1.IssuerReference{Name: "national"} }, "bravo")
	w.external["national"], w.external["second"] = testca.New(t, "alfa.example"), testca.New(t, "alfa.example")
	w.refuses["second"] = "the policy denies URI names"
	w.until("alfa is in peace", inOrder, w.done("national"))
	w.edit(func(l *v1alpha1.LocalCERT) { l.Spec.IssuerRef.Name = "second" })
	w.quiet()
	l := w.local()
	if l.Status.Rotation == nil || l.Status.Rotation.Step != v1alpha1.StepDistribute || w.reason("CertificatesIssued") != "True/CertificatesIssued" {
		t.Fatalf("unexpected: %s", describeStatus(l))
	}
	t.Run("and_the_change_can_be_taken_back", func(t *testing.T) {
		w.edit(func(l *v1alpha1.LocalCERT) { l.Spec.IssuerRef.Name = "national" })
		w.until("alfa is in peace", inOrder, w.done("national"))
		w.quiet()
		if w.local().Status.Authority.ReplacedRoot != "" {
			t.Error("a root was replaced")
		}
	})
}

// An issuer that is lost between two certificates must not hold us for ever: its
// certificates cannot be renewed either.
func TestAnIssuerThatFailsInTheMiddleOfIssueCanBeGivenUp(t *testing.T) {
	for name, to := range map[string]string{"for_the_one_of_before": "national", "for_a_third_one": "third", "for_our_own": ""} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(l *v1alpha1.LocalCERT) { l.Spec.IssuerRef = &v1alpha1.IssuerReference{Name: "national"} }, "bravo", "charlie")
			for _, issuer := range []string{"national", "second", "third"} {
				w.external[issuer] = testca.New(t, "alfa.example")
			}
			w.until("alfa is in peace", inOrder, w.done("national"))
			w.edit(func(l *v1alpha1.LocalCERT) { l.Spec.IssuerRef.Name = "second" })
			w.until("the step is Issue", inOrder, func() bool { return w.seen["Issue"] })
			w.visit()           // the Certificates ask it
			w.sign("alfa-link") // says that it begins
			w.sign("alfa-link")
			w.refuses["second"] = "the key of the CA is gone"
			w.quiet()
			if l := w.local(); l.Status.Rotation == nil || !strings.Contains(l.Status.Rotation.WaitingFor, "the key of the CA is gone") || !strings.HasPrefix(w.issuedAs["alfa-link"], "second ") {
				t.Fatalf("the test needs an issuer that fails in the middle: %s", describeStatus(l))
			}
			w.edit(func(l *v1alpha1.LocalCERT) {
				if l.Spec.IssuerRef.Name = to; to == "" {
					l.Spec.IssuerRef = nil
				}
			})
			wants := to
			if wants == "" {
				wants = "alfa-ca"
			}
			random := rand.New(rand.NewPCG(uint64(len(name)), 1))
			w.until("alfa is in peace", func(steps []func()) {
				random.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
			}, w.done(wants))
			w.quiet()
		})
	}
}

func TestARootThatTheIssuerReplacesInPlaceIsDistributedBeforeItIsUsed(t *testing.T) {
	w := newWorld(t, func(l *v1alpha1.LocalCERT) { l.Spec.IssuerRef = &v1alpha1.IssuerReference{Name: "national"} }, "bravo")
	w.external["national"] = testca.New(t, "alfa.example")
	w.until("alfa is in peace", inOrder, w.done("national"))
	before := w.local().Status.Authority.Root
	w.external["national"] = testca.New(t, "alfa.example")
	w.quiet()
	w.renew("alfa-canary") // as it is every eight hours
	w.until("every certificate is from the new root", inOrder, func() bool {
		return w.done("national")() && w.local().Status.Authority.Root != before
	})
	w.quiet()
	if a := w.local().Status.Authority; a.ReplacedRoot != before || a.Reissues != 1 {
		t.Errorf("unexpected status: %+v", a)
	}
}

func TestAKeyOfOurOwnCAThatIsLostIsReplacedInSteps(t *testing.T) {
	w := settled(t, anything, "alfa-ca", "bravo")
	before := w.local().Status.Authority.Root
	lost := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "cert", Name: "alfa-ca"}}
	if err := w.raw.Delete(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	w.quiet() // cert-manager makes another key of the same name
	w.renew("alfa-canary")
	w.until("every certificate is from the new root", inOrder, func() bool {
		return w.done("alfa-ca")() && w.local().Status.Authority.Root != before
	})
}

func TestASecretOfAnExistingCAIsUsedByALocalCERTMadeAnew(t *testing.T) {
	w := settled(t, anything, "alfa-ca", "bravo")
	w.edit(generation(2))
	w.until("the root is replaced", inOrder, w.done("alfa-ca-2"))
	root := w.local().Status.Authority.Root
	again := w.local()
	w.remake(again)
	w.until("alfa is in peace", inOrder, w.done("alfa-ca-2"))
	if got := w.local().Status.Authority.Root; got != root {
		t.Errorf("peers would have to take another card: root %s, was %s", short(got), short(root))
	}
}

func TestAnIssuerThatSomebodyElseUsesIsNotRetired(t *testing.T) {
	w := settled(t, anything, "alfa-ca", "bravo")
	tool := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"secretName": "tool", "duration": "1h", "issuerRef": map[string]any{"name": "alfa-ca", "kind": "Issuer"},
	}}}
	tool.SetGroupVersionKind(manifest.CertificateKind)
	tool.SetNamespace("cert")
	tool.SetName("misp")
	w.create(tool)
	w.edit(generation(2))
	w.until("it waits", inOrder, func() bool {
		r := w.local().Status.Rotation
		return r != nil && strings.Contains(r.WaitingFor, `"misp"`)
	})
	if !w.there("Secret", "alfa-ca") {
		t.Error("its CA is gone")
	}
}
