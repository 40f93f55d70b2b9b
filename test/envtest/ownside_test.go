// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/testca"
)

func TestWhatIsWrongOnOurSide(t *testing.T) {
	n := alfa(t)
	expired := testca.New(t, "charlie.example", testca.Options{NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour)})
	charlie := testca.New(t, "charlie.example")
	create := func(t *testing.T, o client.Object) {
		t.Helper()
		if err := n.Client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := n.Client.Delete(context.Background(), o); client.IgnoreNotFound(err) != nil {
				t.Error(err)
			}
		})
	}
	peersOfRelay := func(t *testing.T, want ...string) {
		t.Helper()
		eventually(t, fmt.Sprintf("the relay has the peers %v", want), func() error {
			var got []string
			for _, p := range n.relay.live().Peers {
				got = append(got, p.Name)
			}
			if !slices.Equal(got, want) {
				return fmt.Errorf("it has %v", got)
			}
			return nil
		})
	}
	t.Run("an_expired_bundle", func(t *testing.T) {
		p := peerCERT(n.Namespace, "charlie", expired)
		create(t, p)
		n.expect(t, p, "Ready=False/PeerCertificateExpired", "Stalled=True")
	})
	t.Run("a_bundle_that_is_no_bundle", func(t *testing.T) {
		p := peerCERT(n.Namespace, "echo", testca.New(t, "echo.example"))
		leaf := charlie.Leaf(t, testca.Leaf{Path: "/relay"})
		p.Spec.Trust.Bundle = string(testca.EncodeCertificates(leaf.Chain...))
		create(t, p)
		n.expect(t, p, "Ready=False/BundleInvalid", "Stalled=True", "Connected=False/BundleInvalid")
		if m := message(p, "Ready"); !strings.Contains(m, "not that of a CA") {
			t.Errorf("unexpected message %q", m)
		}
	})
	t.Run("our_own_trust_domain", func(t *testing.T) {
		p := peerCERT(n.Namespace, "self", testca.New(t, "alfa.example"))
		create(t, p)
		n.expect(t, p, "Ready=False/OwnTrustDomain", "Stalled=True", "Connected=False")
	})
	t.Run("a_trust_domain_twice", func(t *testing.T) {
		p := peerCERT(n.Namespace, "z-bravo-again", n.bravo)
		create(t, p)
		n.expect(t, p, "Ready=False/PeerNotUnique", "Stalled=True")
		n.expect(t, n.peer, "Ready=True", "!Stalled")
	})
	t.Run("a_bundle_in_a_ConfigMap", func(t *testing.T) {
		p := peerCERT(n.Namespace, "delta", testca.New(t, "delta.example"))
		text := p.Spec.Trust.Bundle
		p.Spec.Trust = v1alpha1.PeerTrust{BundleRef: &v1alpha1.BundleReference{Name: "delta-ca"}}
		create(t, p)
		n.expect(t, p, "Ready=False/BundleNotFound", "Stalled=True")
		from := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: n.Namespace, Name: "delta-ca"}, Data: map[string]string{"wrong": text}}
		create(t, from)
		n.edit(t, from, func() { from.Data = map[string]string{"ca.crt": text} })
		n.expect(t, p, "Ready=True", "!Stalled")
		peersOfRelay(t, "bravo", "delta") // what the other cases made is gone
		n.edit(t, from, func() { from.Data = map[string]string{"ca.crt": "damaged"} })
		n.expect(t, p, "Ready=False/BundleInvalid")
		peersOfRelay(t, "bravo", "delta") // the last good one stays
		if err := n.Client.Delete(t.Context(), from); err != nil {
			t.Fatal(err)
		}
		n.expect(t, p, "Ready=False/BundleNotFound")
		peersOfRelay(t, "bravo", "delta")
		create(t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: n.Namespace, Name: "delta-ca"}, Data: map[string]string{"ca.crt": text}})
		n.expect(t, p, "Ready=True", "!Stalled")
	})
	t.Run("a_feed_to_nobody", func(t *testing.T) {
		f := n.export.DeepCopy()
		f.ObjectMeta = metav1.ObjectMeta{Namespace: n.Namespace, Name: "to-nobody"}
		f.Spec.Export.PeerRefs = []v1alpha1.PeerReference{{Name: "bravo"}, {Name: "nobody"}}
		create(t, f)
		n.expect(t, f, "Ready=False/PeerNotFound", "Stalled=True")
		if m := message(f, "Ready"); !strings.Contains(m, `"nobody"`) || strings.Contains(m, `"bravo"`) {
			t.Errorf("unexpected message %q", m)
		}
	})
	t.Run("a_second_hotline", func(t *testing.T) {
		h := n.hotline.DeepCopy()
		h.ObjectMeta = metav1.ObjectMeta{Namespace: n.Namespace, Name: "z-bravo-too"}
		create(t, h)
		n.expect(t, h, "Ready=False/HotlineNotUnique", "Stalled=True", "Reachable=False")
	})
	t.Run("a_second_LocalCERT", func(t *testing.T) {
		l := localCERT(n.Namespace, "z-again")
		l.Spec.Identity.TrustDomain = "again.example"
		create(t, l)
		n.expect(t, l, "Ready=False/LocalCERTNotUnique", "Stalled=True", "RelayAvailable=False")
		err := n.Client.Get(t.Context(), client.ObjectKey{Namespace: n.Namespace, Name: "z-again-relay"}, &appsv1.StatefulSet{})
		if !apierrors.IsNotFound(err) {
			t.Errorf("it has a relay: %v", err)
		}
	})
	n.expect(t, n.local, "Ready=True")
}

func TestConfigurationArrivesAtOnce(t *testing.T) {
	n := alfa(t)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: n.Namespace, Name: "alfa-relay-0", Labels: map[string]string{
			"app.kubernetes.io/name": "certlink", "app.kubernetes.io/component": "relay",
			"app.kubernetes.io/instance": "alfa", "app.kubernetes.io/managed-by": "certlink-operator",
		}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "relay", Image: "relay.example/certlink:test"}}},
	}
	if err := n.Client.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	mounted := func() string {
		if err := n.Client.Get(t.Context(), client.ObjectKeyFromObject(pod), pod); err != nil {
			t.Fatal(err)
		}
		return pod.Annotations["certlink.dev/mounted"]
	}
	changed := func(before string) {
		t.Helper()
		begun := time.Now()
		eventually(t, "the pod is annotated", func() error {
			if now := mounted(); now == "" || now == before {
				return fmt.Errorf("it has %q", now)
			}
			return nil
		})
		t.Logf("the kubelet was told after %v", time.Since(begun).Round(time.Millisecond))
	}
	changed("")
	var set appsv1.StatefulSet
	key := client.ObjectKey{Namespace: n.Namespace, Name: "alfa-relay"}
	if err := n.Client.Get(t.Context(), key, &set); err != nil {
		t.Fatal(err)
	}
	generation := set.Generation

	before := mounted()
	n.edit(t, n.peer, func() { n.peer.Spec.Endpoints[0].Address = "relay.bravo.example:28443" })
	changed(before)
	n.expect(t, n.peer, "Ready=True", "Connected=True")

	before = mounted()
	n.certs.reissue(t, "alfa-link")
	changed(before)

	if err := n.Client.Get(t.Context(), key, &set); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(generation, set.Generation); diff != "" {
		t.Errorf("the StatefulSet changed, so the relay would restart: %s", diff)
	}
	n.quiet(t, n.operator)
}

func TestForeignObjectsAreNotTakenOver(t *testing.T) {
	s := start(t)
	playCertManager(t, s, "alfa.example")
	theirs := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "alfa-relay"}, Data: map[string]string{"mine": "yes"}}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "alfa-relay-local"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	}
	for _, o := range []client.Object{theirs, service} {
		if err := s.Client.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	runOperator(t, s, "127.0.0.1:1")
	l := localCERT(s.Namespace, "alfa")
	if err := s.Client.Create(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	s.expect(t, l, "Ready=False/NameTaken", "Stalled=True")
	if m := message(l, "Ready"); !strings.Contains(m, `ConfigMap "alfa-relay"`) || !strings.Contains(m, `Service "alfa-relay-local"`) {
		t.Errorf("unexpected message %q", m)
	}
	if err := s.Client.Get(t.Context(), client.ObjectKeyFromObject(theirs), theirs); err != nil || theirs.Data["mine"] != "yes" || len(theirs.Data) != 1 {
		t.Errorf("it was changed: %v %v", err, theirs.Data)
	}
}

func TestALocalCERTIsNeeded(t *testing.T) {
	s := start(t)
	runOperator(t, s, "127.0.0.1:1")
	p := peerCERT(s.Namespace, "bravo", testca.New(t, "bravo.example"))
	if err := s.Client.Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	s.expect(t, p, "Ready=False/LocalCERTMissing", "Connected=False/LocalCERTMissing", "Reconciling=True")
}
