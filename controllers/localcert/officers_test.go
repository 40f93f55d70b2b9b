// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package localcert

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/certlink/certlink/api/v1alpha1"
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
