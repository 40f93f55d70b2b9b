// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/internal/relayclient/relaytest"
	"github.com/certlink/certlink/internal/testca"
)

func newSession(t *testing.T, forbidden string, objects ...client.Object) *session {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	refuse := func(resource, name string) error {
		if resource != forbidden {
			return nil
		}
		return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, name, nil)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
			if _, is := object.(*corev1.Secret); is && refuse("secrets", key.Name) != nil {
				return refuse("secrets", key.Name)
			}
			return c.Get(ctx, key, object, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, is := list.(*corev1.PodList); is && refuse("pods", "") != nil {
				return refuse("pods", "")
			}
			return c.List(ctx, list, opts...)
		},
	}).Build()
	return &session{client: c, namespace: "duty"}
}

func local(name string, age time.Duration) *v1alpha1.LocalCERT {
	return &v1alpha1.LocalCERT{
		ObjectMeta: metav1.ObjectMeta{Namespace: "duty", Name: name, CreationTimestamp: metav1.NewTime(noon.Add(-age))},
		Spec:       v1alpha1.LocalCERTSpec{Identity: v1alpha1.Identity{DisplayName: "CERT Alfa", TrustDomain: relaytest.TrustDomain}},
		Status:     v1alpha1.LocalCERTStatus{DeskSecretName: name + "-desk"},
	}
}

func pod(name string, phase corev1.PodPhase, ready bool) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "duty", Name: name, Labels: map[string]string{"app": "relay"}}}
	p.Status.Phase = phase
	if ready {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	return p
}

func service() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "duty", Name: "alfa-relay-local"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "relay"}},
	}
}

func TestOursIsTheOldest(t *testing.T) {
	s := newSession(t, "", local("newer", time.Hour), local("older", 2*time.Hour))
	cert, err := s.ours(t.Context())
	if err != nil || cert.Name != "older" {
		t.Errorf("got %v, %v", cert, err)
	}
	s.name = "newer"
	if cert, err = s.ours(t.Context()); err != nil || cert.Name != "newer" {
		t.Errorf("got %v, %v", cert, err)
	}
	s.name = "none"
	_, err = s.ours(t.Context())
	expect(t, err, `there is no LocalCERT "none" in namespace "duty": see kubectl -n duty get localcerts`)
	_, err = newSession(t, "").ours(t.Context())
	expect(t, err, `namespace "duty" has no LocalCERT`)
}

func TestDeskIsDecidedByOneSecret(t *testing.T) {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "duty", Name: "alfa-desk"},
		Data:       relaytest.Secret(t, testca.New(t, relaytest.TrustDomain)),
	}
	broken := secret.DeepCopy()
	delete(broken.Data, "ca.crt")
	for name, test := range map[string]struct {
		forbidden string
		objects   []client.Object
		want      string
	}{
		"who_may_get_it_is_the_desk":   {objects: []client.Object{secret}},
		"who_may_not_get_it_is_told":   {objects: []client.Object{secret}, forbidden: "secrets", want: `you may not use the desk: RBAC refuses you the verb "get" on secrets "alfa-desk" in namespace "duty"`},
		"a_missing_Secret_is_named":    {want: `there is no Secret "alfa-desk" in namespace "duty": cert-manager writes it, see kubectl -n duty get certificates`},
		"a_broken_Secret_is_explained": {objects: []client.Object{broken}, want: `reading Secret "alfa-desk" in namespace "duty": key "ca.crt" is missing or empty`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newSession(t, test.forbidden, test.objects...).desk(t.Context(), local("alfa", time.Hour))
			expect(t, err, test.want)
		})
	}
	t.Run("a_CERT_without_desk_yet_is_told", func(t *testing.T) {
		young := local("alfa", time.Hour)
		young.Status.DeskSecretName = ""
		_, err := newSession(t, "").desk(t.Context(), young)
		expect(t, err, `LocalCERT "alfa" has no desk Secret yet`)
	})
}

func TestRelayPod(t *testing.T) {
	for name, test := range map[string]struct {
		forbidden string
		objects   []client.Object
		pod, want string
	}{
		"a_ready_pod_comes_first":           {objects: []client.Object{service(), pod("a", corev1.PodRunning, false), pod("b", corev1.PodRunning, true)}, pod: "b"},
		"a_running_one_is_better_than_none": {objects: []client.Object{service(), pod("a", corev1.PodRunning, false)}, pod: "a"},
		"a_pending_pod_cannot_be_used":      {objects: []client.Object{service(), pod("a", corev1.PodPending, false)}, want: `no relay of LocalCERT "alfa" is running`},
		"a_missing_Service_is_named":        {want: `there is no Service "alfa-relay-local" in namespace "duty": the operator makes it, see kubectl -n duty describe lcert`},
		"a_refusal_names_verb_and_resource": {objects: []client.Object{service()}, forbidden: "pods", want: `RBAC refuses you the verb "list" on pods in namespace "duty"`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := newSession(t, test.forbidden, test.objects...).relayPod(t.Context(), "alfa")
			expect(t, err, test.want)
			if got != test.pod {
				t.Errorf("got %q, want %q", got, test.pod)
			}
		})
	}
}
