// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/manifest"
	"github.com/certlink/certlink/internal/testca"
	"github.com/certlink/certlink/relay/config"
)

func desk(names ...string) func(*v1alpha1.LocalCERT) {
	return func(l *v1alpha1.LocalCERT) {
		l.Spec.Desk = v1alpha1.DeskSpec{SharedCertificate: v1alpha1.Denied}
		for _, name := range names {
			l.Spec.Desk.Officers = append(l.Spec.Desk.Officers, v1alpha1.Officer{
				Name: name, Roles: []v1alpha1.OfficerRole{v1alpha1.RoleRelease, v1alpha1.RoleDraft},
			})
		}
	}
}

func TestEachOfficerHasACertificateUntilTheSpecNamesThemNoMore(t *testing.T) {
	w := settled(t, desk("eve", "rob"), "alfa-ca", "bravo")
	w.calm = true
	w.quiet()
	for _, o := range w.local().Status.Officers {
		if o.SecretName != "alfa-desk-"+o.Name || o.NotAfter == nil || !w.there("Secret", o.SecretName) {
			t.Errorf("the status is %+v", o)
		}
	}
	roles := []config.OfficerRole{config.Draft, config.ReleaseRole}
	want := config.Desk{SharedCertificate: "Denied", Officers: []config.Officer{{Name: "eve", DisplayName: "eve", Roles: roles}, {Name: "rob", DisplayName: "rob", Roles: roles}}}
	if diff := cmp.Diff(want, w.relay.config.Desk); diff != "" {
		t.Errorf("the relay's desk (-want +got):\n%s", diff)
	}
	w.edit(desk("rob"))
	w.until("eve is gone", inOrder, func() bool { return !w.there("Certificate", "alfa-desk-eve") && !w.there("Secret", "alfa-desk-eve") })
	w.quiet()
	if got := w.local().Status.Officers; len(got) != 1 || got[0].Name != "rob" || !w.there("Secret", "alfa-desk-rob") {
		t.Errorf("the status is %+v", got)
	}
	if got := w.relay.config.Desk.Officers; len(got) != 1 || got[0].Name != "rob" {
		t.Errorf("the relay's officers are %+v", got)
	}
}

func TestASharedCertificateThatIsDeniedIsNotThere(t *testing.T) {
	w := settled(t, desk("eve"), "alfa-ca", "bravo")
	shared := func() []any {
		return []any{w.there("Certificate", "alfa-desk"), w.there("Secret", "alfa-desk"), w.local().Status.DeskSecretName, w.relay.config.Desk.SharedCertificate}
	}
	denied, allowed := []any{false, false, "", "Denied"}, []any{true, true, "alfa-desk", "Allowed"}
	if diff := cmp.Diff(denied, shared()); diff != "" {
		t.Errorf("from the beginning (-want +got):\n%s", diff)
	}
	permit := func(p v1alpha1.Permission) func(*v1alpha1.LocalCERT) {
		return func(l *v1alpha1.LocalCERT) { l.Spec.Desk.SharedCertificate = p }
	}
	w.edit(permit(v1alpha1.Allowed))
	w.until("it is issued", inOrder, func() bool { return cmp.Equal(allowed, shared()) })
	w.edit(permit(v1alpha1.Denied))
	w.until("it is deleted, with its key", inOrder, func() bool { return cmp.Equal(denied, shared()) })
	w.quiet()
	if diff := cmp.Diff(denied, shared()); diff != "" {
		t.Errorf("at the end (-want +got):\n%s", diff)
	}
	if !w.there("Secret", "alfa-desk-eve") {
		t.Error("the officer's certificate went with it")
	}
}

func TestAnOfficersCertificateFollowsARotation(t *testing.T) {
	w := settled(t, desk("eve"), "alfa-ca", "bravo")
	w.edit(generation(2))
	w.until("the root is replaced", inOrder, w.done("alfa-ca-2"))
	if c := w.certificates()["alfa-desk-eve"]; c == nil || askedOf(issued{object: c}).Name != "alfa-ca-2" {
		t.Errorf("the certificate is %v", c)
	}
}

func TestTheRelayRunsWithoutAnOfficersCertificate(t *testing.T) {
	all := allIssued(t, testca.New(t, "alfa.example"))
	l := local()
	desk("eve")(l)
	m := judge(append(all, officers(l)...), "", false, time.Now())
	if !m.deployable || m.fact.Reason != v1alpha1.ReasonCertificateNotReady {
		t.Errorf("deployable %v, %+v", m.deployable, m.fact)
	}
}

// denied takes eve's certificate and the shared one away.
func denied(l *v1alpha1.LocalCERT) { desk("rob")(l) }

// withShared is a desk of officers and a certificate that names none.
func withShared(l *v1alpha1.LocalCERT) {
	desk("eve", "rob")(l)
	l.Spec.Desk.SharedCertificate = v1alpha1.Allowed
}

// left are the objects of the certificates that denied takes away.
func (w *world) left() []string {
	var out []string
	for _, kind := range []string{"Certificate", "Secret"} {
		for _, name := range []string{"alfa-desk", "alfa-desk-eve"} {
			if w.there(kind, name) {
				out = append(out, kind+" "+name)
			}
		}
	}
	return out
}

// keyOf a certificate, as it is in the Secret.
func (w *world) keyOf(name string) string {
	w.t.Helper()
	secret := &corev1.Secret{}
	if err := w.raw.Get(w.t.Context(), client.ObjectKey{Namespace: "cert", Name: name}, secret); err != nil {
		w.t.Fatal(err)
	}
	return string(secret.Data[corev1.TLSPrivateKeyKey])
}

func TestAnOperatorThatIsKilledWhileItDismissesLeavesNoKeyBehind(t *testing.T) {
	w := settled(t, withShared, "alfa-ca", "bravo")
	w.quiet()
	rob, before := w.keyOf("alfa-desk-rob"), len(w.writes)
	whole := w.copy()
	whole.edit(denied)
	whole.quiet()
	edges := map[string]bool{}
	for i := range whole.writes[before:] {
		for _, afterwards := range []bool{false, true} {
			killed := w.copy()
			killed.crash, killed.afterwards = before+i+1, afterwards
			killed.edit(denied)
			killed.quiet()
			at := fmt.Sprintf("%s, done %v", killed.writes[before+i], afterwards)
			edges[at] = true
			if left := killed.left(); killed.kills != 1 || len(left) > 0 {
				t.Errorf("killed %d times at %s; left are %v", killed.kills, at, left)
			}
			if killed.keyOf("alfa-desk-rob") != rob {
				t.Errorf("killed at %s: the key of an officer who stays is another", at)
			}
			if diff := cmp.Diff(whole.local().Status.Officers, killed.local().Status.Officers); diff != "" {
				t.Errorf("killed at %s: the status (-want +got):\n%s", at, diff)
			}
		}
	}
	for _, name := range []string{"alfa-desk", "alfa-desk-eve"} {
		if !edges["delete Certificate "+name+", done true"] || !edges["delete Secret "+name+", done false"] {
			t.Errorf("the test needs a crash between the Certificate %q and its Secret: %v", name, edges)
		}
	}
}

// between kills the operator after it deleted eve's Certificate, and before her Secret.
func between(t *testing.T) *world {
	t.Helper()
	w := settled(t, desk("eve", "rob"), "alfa-ca", "bravo")
	w.quiet()
	for w.edit(desk("rob")); w.there("Certificate", "alfa-desk-eve"); {
		w.crash, w.afterwards = len(w.writes)+1, true
		w.visit()
	}
	if w.crash = 0; !w.there("Secret", "alfa-desk-eve") {
		t.Fatal("the test needs a Secret that is left")
	}
	return w
}

func TestAKeyThatIsLeftIsRememberedWhileSomethingCannotBeApplied(t *testing.T) {
	w := between(t)
	if err := w.raw.deleteAll(&policyv1.PodDisruptionBudget{}); err != nil {
		t.Fatal(err)
	}
	foreign := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "cert", Name: "alfa-relay"}}
	w.create(foreign)
	w.quiet()
	if got := w.reason("Ready"); got != "False/NameTaken" {
		t.Fatalf("the test needs an object that cannot be applied: %s", describeStatus(w.local()))
	}
	if err := w.raw.Delete(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	w.quiet()
	if left := w.left(); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}

func TestAKeyThatIsInUseAgainIsNotDeleted(t *testing.T) {
	t.Run("by_the_officer_who_is_declared_again", func(t *testing.T) {
		w := between(t)
		was := w.keyOf("alfa-desk-eve")
		w.edit(desk("eve", "rob"))
		w.quiet()
		if !w.there("Certificate", "alfa-desk-eve") || w.keyOf("alfa-desk-eve") != was {
			t.Error("the key is gone")
		}
	})
	t.Run("by_a_Certificate_that_a_person_made", func(t *testing.T) {
		w := between(t)
		own := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
			"secretName": "alfa-desk-eve", "duration": "1h", "issuerRef": map[string]any{"name": "alfa-ca", "kind": "Issuer"},
		}}}
		own.SetGroupVersionKind(manifest.CertificateKind)
		own.SetNamespace("cert")
		own.SetName("alfa-desk-eve")
		w.create(own)
		w.quiet()
		if !w.there("Certificate", "alfa-desk-eve") || !w.there("Secret", "alfa-desk-eve") {
			t.Error("it is gone")
		}
	})
}
