// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
	"github.com/certlink/certlink/relay/config"
)

var update = flag.Bool("update", false, "write the golden files anew")

// minimal is a LocalCERT with nothing but what is required.
func minimal() *v1alpha1.LocalCERT {
	return &v1alpha1.LocalCERT{
		ObjectMeta: metav1.ObjectMeta{Namespace: "cert", Name: "alfa", UID: "0c0ffee0-0000-4000-8000-000000000001"},
		Spec:       v1alpha1.LocalCERTSpec{Identity: v1alpha1.Identity{DisplayName: "CERT Alfa", TrustDomain: "alfa.example"}},
	}
}

// shared is a LocalCERT whose relay has three replicas on a database.
func shared() *v1alpha1.LocalCERT {
	l := minimal()
	l.Spec.Relay.Replicas = new(int32(3))
	l.Spec.Relay.Storage.Postgres = &v1alpha1.PostgresStorage{SecretRef: v1alpha1.SecretReference{Name: "alfa-db-app"}, Port: new(int32(6432))}
	return l
}

// full is a LocalCERT with every field that shows in a manifest.
func full() *v1alpha1.LocalCERT {
	l := minimal()
	size, class := resource.MustParse("2000Mi"), "fast"
	l.Spec.IssuerRef = &v1alpha1.IssuerReference{Name: "national", Kind: "ClusterIssuer"}
	l.Spec.Addresses = []v1alpha1.Endpoint{{Address: "Relay.alfa.example:8443"}, {Address: "[2001:db8::1]:8443"}, {Address: "192.0.2.1:443"}}
	seconds := int64(30)
	l.Spec.Relay = v1alpha1.RelaySpec{
		Storage: v1alpha1.RelayStorage{Size: &size, StorageClassName: &class},
		Service: v1alpha1.RelayService{Type: "ClusterIP", Annotations: map[string]string{"lb.example/pool": "cert"}},
		Resources: &corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": resource.MustParse("1000m")},
			Limits:   corev1.ResourceList{"memory": resource.MustParse("1Gi")},
		},
		NodeSelector: map[string]string{"zone": "inner"},
		Tolerations: []corev1.Toleration{
			{Key: "cert", Operator: "Equal", Value: "yes", Effect: "NoSchedule"},
			{Operator: "Exists", Effect: "NoExecute", TolerationSeconds: &seconds},
		},
	}
	return l
}

func TestManifests(t *testing.T) {
	for _, tc := range []struct {
		file     string
		local    *v1alpha1.LocalCERT
		hosts    []string
		peers    []config.Peer
		services relayconfig.Network
		exports  []config.Export
		mounted  []relayconfig.Object
	}{
		{"minimal", minimal(), nil, nil, relayconfig.Network{}, nil, nil},
		{"shared", shared(), nil, nil, relayconfig.Network{}, nil, nil},
		{"full", full(), []string{"Relay.alfa.example", "2001:db8::1", "192.0.2.1"}, []config.Peer{
			{Endpoints: []config.Endpoint{{Address: "relay.bravo.example:443"}, {Address: "[2001:db8::2]:8443"}}},
			{Endpoints: []config.Endpoint{{Address: "relay.charlie.example:443"}}},
		}, relayconfig.Network{
			Imports: []relayconfig.ImportPort{{Port: 20001, From: "Cluster"}, {Port: 20002, From: "Namespace"}, {Port: 29999, From: "Namespace"}},
			Exports: []relayconfig.Target{
				{Address: "chat.cert.svc:443", Selector: map[string]string{"app": "chat"}, Port: intstr.FromString("https")},
				{Address: "misp.cert.svc:443", Selector: map[string]string{"app": "misp"}, Port: intstr.FromInt32(8443)},
				{Address: "outside.cert.svc:443", Port: intstr.FromInt32(443)},
			},
		}, []config.Export{{Sources: []config.Source{
			{Pull: &config.PulledSource{STIX: &config.Remote{URL: "https://feeds.charlie.example:4443/x"}}},
			{Pull: &config.PulledSource{MISP: &config.Remote{URL: "http://misp.alfa.example/feed/"}}},
			{},
		}}}, []relayconfig.Object{
			{Kind: relayconfig.ConfigMap, Name: "bundles"}, {Kind: relayconfig.ConfigMap, Name: "a.long.name-of-lists"},
			{Kind: relayconfig.Secret, Name: "charlie.taxii"}, {Kind: relayconfig.Secret, Name: "misp"},
		}},
	} {
		t.Run(tc.file, func(t *testing.T) {
			var objects []*unstructured.Unstructured
			add := func(u *unstructured.Unstructured, err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
				objects = append(objects, u)
			}
			issuer := CAIssuer(tc.local.Name, 1)
			if tc.local.Spec.IssuerRef == nil {
				objects = append(objects, CA(tc.local, 1)...)
			} else {
				issuer = v1alpha1.IssuerInUse{Kind: tc.local.Spec.IssuerRef.Kind, Name: tc.local.Spec.IssuerRef.Name}
			}
			objects = append(objects, Certificates(tc.local, tc.hosts, issuer, 0)...)
			objects = append(objects, Canary(tc.local, issuer))
			add(ConfigMap(tc.local, []byte("apiVersion: relay.certlink.dev/v1alpha1\n")))
			add(LinkService(tc.local))
			add(LocalService(tc.local))
			add(NetworkPolicy(tc.local, "certlink-system", &config.Config{Peers: tc.peers, Exports: tc.exports}, tc.services))
			add(DisruptionBudget(tc.local))
			add(StatefulSet(tc.local, "relay.example/certlink:v1", FixedOf(tc.local, nil), tc.mounted))
			golden(t, filepath.Join("testdata", tc.file+".yaml"), objects)
		})
	}
}

// golden compares objects with a file, or writes it.
func golden(t *testing.T, file string, objects []*unstructured.Unstructured) {
	t.Helper()
	var got bytes.Buffer
	for _, o := range objects {
		data, err := yaml.Marshal(o.Object)
		if err != nil {
			t.Fatal(err)
		}
		got.WriteString("---\n")
		got.Write(data)
	}
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; write it with go test -update", err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("objects differ from %s (-want +got):\n%s", file, diff)
	}
}

func TestWhatIsFixedNeverChanges(t *testing.T) {
	l := full()
	class := "slow"
	live := &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{PodManagementPolicy: appsv1.OrderedReadyPodManagement, VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &class,
			Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("1Gi")}},
		},
	}}}}
	got := FixedOf(l, live)
	if got.Size.String() != "1Gi" || *got.StorageClassName != "slow" {
		t.Errorf("the relay would get %v of class %q, but it has 1Gi of slow", got.Size.String(), *got.StorageClassName)
	}
	if got.PodManagement != appsv1.OrderedReadyPodManagement {
		t.Errorf("its pods would be managed as %q", got.PodManagement)
	}
	if fresh := FixedOf(l, nil); fresh.PodManagement != appsv1.ParallelPodManagement {
		t.Errorf("a relay that never became ready would never be replaced: %q", fresh.PodManagement)
	}
}

func TestThePodTemplateKnowsNothingOfTheConfiguration(t *testing.T) {
	one, err := StatefulSet(minimal(), "i", FixedOf(minimal(), nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	other := minimal()
	other.Spec.Identity.DisplayName = "Another name"
	other.Spec.Addresses = []v1alpha1.Endpoint{{Address: "elsewhere.alfa.example:8443"}}
	two, err := StatefulSet(other, "i", FixedOf(other, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(one.Object, two.Object); diff != "" {
		t.Errorf("the relay would restart for a change of its configuration:\n%s", diff)
	}
}

func TestNamesFitWhereTheyGo(t *testing.T) {
	longest := "a123456789012345678901234567890123456789" // 40, as the CRD allows
	n := NamesOf(longest)
	for _, name := range []string{n.Relay, n.Local, n.Link, n.LocalPort, n.Signing, n.Operator, n.Desk, n.Canary, n.SelfSigned, CAName(longest, 10000)} {
		if len(name) > 63 {
			t.Errorf("%q has %d characters, a Service has at most 63", name, len(name))
		}
	}
	// A pod of the StatefulSet carries its name, an ordinal and a revision in labels.
	if len(n.Relay)+len("-0123456789") > 63 {
		t.Errorf("%q is too long for the label of a revision", n.Relay)
	}
}
