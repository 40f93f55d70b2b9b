// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/relay/report"
)

// collecting is an export with a source behind a Secret and one in a ConfigMap.
func collecting(namespace string) *v1alpha1.SharedFeed {
	return &v1alpha1.SharedFeed{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "collected"},
		Spec: v1alpha1.SharedFeedSpec{Direction: v1alpha1.FeedExport, Export: &v1alpha1.FeedExportSpec{
			PeerRefs: []v1alpha1.PeerReference{{Name: "bravo"}},
			Rule:     v1alpha1.FeedRule{MaxTLP: v1alpha1.TLPGreen},
			Sources: []v1alpha1.FeedSource{
				{Name: "partner", Pull: &v1alpha1.FeedPull{TAXII: &v1alpha1.TAXIICollection{
					Server:     v1alpha1.RemoteEndpoint{URL: "https://taxii.charlie.example:6443/api/", SecretRef: &v1alpha1.SecretReference{Name: "charlie"}},
					Collection: "indicators",
				}}},
				{Name: "declared", Pull: &v1alpha1.FeedPull{ConfigMapRef: &v1alpha1.ConfigMapReference{Name: "bundles"}}},
			},
		}},
	}
}

// TestSourcesNeedTheirSecretsAndConfigMaps follows an export from the first mistake
// to a changed password.
func TestSourcesNeedTheirSecretsAndConfigMaps(t *testing.T) {
	n := alfa(t)
	f := collecting(n.Namespace)
	if err := n.Client.Create(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	n.expect(t, f, "Ready=False/SecretNotFound", "Stalled=True")
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: n.Namespace, Name: "charlie"}, StringData: map[string]string{"token": "one"}}
	if err := n.Client.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	bundles := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: n.Namespace, Name: "bundles"}}
	if err := n.Client.Create(t.Context(), bundles); err != nil {
		t.Fatal(err)
	}
	// Nobody tells the operator of a Secret: it looks by itself.
	n.expect(t, f, "Ready=False/ConfigMapNotFound")
	bundles.Data = map[string]string{"own.json": "{}"}
	if err := n.Client.Update(t.Context(), bundles); err != nil {
		t.Fatal(err)
	}
	n.expect(t, f, "Ready=True")

	t.Run("the_pod_sees_them", func(t *testing.T) { mountsSources(t, n) })

	t.Run("the_status_tells_of_sources", func(t *testing.T) {
		n.relay.change(func(r *report.Report) {
			r.Exports = append(r.Exports, report.Export{Name: "collected", Stored: 7, Sources: []report.Source{
				{Name: "partner", Failing: time.Now().UTC(), Error: "taxii.charlie.example answers 401 Unauthorized"},
				{Name: "declared", Stored: 7, LastSuccess: time.Now().UTC().Truncate(time.Minute)},
			}})
		})
		n.expect(t, f, "Fresh=False/SourceFailed")
		if err := n.Client.Get(t.Context(), client.ObjectKeyFromObject(f), f); err != nil {
			t.Fatal(err)
		}
		if got := f.Status.Sources; len(got) != 2 || got[0].Message == "" || got[0].LastSuccessTime != nil || *got[1].Stored != 7 || got[1].LastSuccessTime == nil {
			t.Errorf("sources = %+v", got)
		}
	})

	t.Run("a_changed_Secret_reaches_the_pod", func(t *testing.T) {
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
		annotated := func(before string) func() error {
			return func() error {
				if err := n.Client.Get(t.Context(), client.ObjectKeyFromObject(pod), pod); err != nil {
					return err
				}
				if now := pod.Annotations["certlink.dev/mounted"]; now == "" || now == before {
					return fmt.Errorf("it has %q", now)
				}
				return nil
			}
		}
		eventually(t, "the pod is annotated", annotated(""))
		before := pod.Annotations["certlink.dev/mounted"]
		secret.StringData = map[string]string{"token": "two"}
		if err := n.Client.Update(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the kubelet is told", annotated(before))
	})
}

// mountsSources checks the relay's workload and its NetworkPolicy.
func mountsSources(t *testing.T, n *nation) {
	var set appsv1.StatefulSet
	if err := n.Client.Get(t.Context(), client.ObjectKey{Namespace: n.Namespace, Name: "alfa-relay"}, &set); err != nil {
		t.Fatal(err)
	}
	paths := map[string]string{}
	for _, m := range set.Spec.Template.Spec.Containers[0].VolumeMounts {
		paths[m.Name] = m.MountPath
	}
	found := 0
	for _, v := range set.Spec.Template.Spec.Volumes {
		switch {
		case v.Projected != nil:
			found++
			s := v.Projected.Sources[0].Secret
			if s.Name != "charlie" || s.Optional == nil || !*s.Optional || paths[v.Name] != "/etc/certlink/secrets" || s.Items[0].Path != "charlie/ca.crt" {
				t.Errorf("the Secret is mounted at %q as %+v", paths[v.Name], s)
			}
		case v.ConfigMap != nil && v.ConfigMap.Name == "bundles":
			found++
			if v.ConfigMap.Optional == nil || !*v.ConfigMap.Optional || paths[v.Name] != "/etc/certlink/configmaps/bundles" {
				t.Errorf("the ConfigMap is mounted at %q as %+v", paths[v.Name], v.ConfigMap)
			}
		}
	}
	if found != 2 {
		t.Errorf("%d of 2 volumes are there", found)
	}
	live := n.relay.live()
	for _, e := range live.Exports {
		if e.Name == "collected" && (e.Sources[0].Pull.TAXII.Remote.Directory != "/etc/certlink/secrets/charlie" || e.Sources[1].Pull.Files[0] != "/etc/certlink/configmaps/bundles/") {
			t.Errorf("the relay was given %+v", e.Sources)
		}
	}
}
