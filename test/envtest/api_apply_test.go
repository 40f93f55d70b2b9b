// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build envtest

package envtest

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/api/v1alpha1"
	applyv1alpha1 "github.com/certlink/certlink/api/v1alpha1/applyconfiguration/api/v1alpha1"
)

const (
	author   = client.FieldOwner("author")
	observer = client.FieldOwner("observer")
)

// identityOfAlfa is who the objects of these tests are about.
func identityOfAlfa() *applyv1alpha1.IdentityApplyConfiguration {
	return applyv1alpha1.Identity().WithDisplayName("CERT Alfa").WithCountry("XA").WithTrustDomain("alfa.example").
		WithContact(applyv1alpha1.Contact().WithEmail("duty@cert.alfa.example").WithTelephone("+999 555 0100"))
}

func ready() *metav1ac.ConditionApplyConfiguration {
	return metav1ac.Condition().WithType(v1alpha1.ConditionReady).WithStatus(metav1.ConditionTrue).
		WithReason(v1alpha1.ReasonReconciled).WithMessage("our side is as declared").
		WithObservedGeneration(1).WithLastTransitionTime(metav1.Unix(1_767_225_600, 0))
}

// configurations makes an apply configuration of the spec, one of the status, and
// how to read back what each of their authors owns.
func configurations(namespace string, bundle string) map[string]configuration {
	peer := applyv1alpha1.PeerReference().WithName("alfa")
	return map[string]configuration{
		"LocalCERT": {
			object: &v1alpha1.LocalCERT{},
			spec: applyv1alpha1.LocalCERT("alfa", namespace).WithSpec(applyv1alpha1.LocalCERTSpec().
				WithIdentity(identityOfAlfa()).
				WithIssuerRef(applyv1alpha1.IssuerReference().WithName("ca")).
				WithAddresses(applyv1alpha1.Endpoint().WithAddress("relay.alfa.example:8443").WithLabel("fibre")).
				WithRelay(applyv1alpha1.RelaySpec().
					WithStorage(applyv1alpha1.RelayStorage().WithSize(resource.MustParse("1Gi"))).
					WithService(applyv1alpha1.RelayService().WithType("ClusterIP")).
					WithTolerations(corev1.Toleration{Key: "dedicated", Operator: corev1.TolerationOpExists}))),
			status: applyv1alpha1.LocalCERT("alfa", namespace).WithStatus(applyv1alpha1.LocalCERTStatus().
				WithObservedGeneration(1).WithConditions(ready()).WithDeskSecretName("alfa-desk")),
			extract: func(o client.Object, owner, subresource string) (runtime.ApplyConfiguration, error) {
				return applyv1alpha1.ExtractLocalCERTFrom(o.(*v1alpha1.LocalCERT), owner, subresource)
			},
		},
		"PeerCERT": {
			object: &v1alpha1.PeerCERT{},
			spec: applyv1alpha1.PeerCERT("alfa", namespace).WithSpec(applyv1alpha1.PeerCERTSpec().
				WithIdentity(identityOfAlfa()).
				WithEndpoints(applyv1alpha1.Endpoint().WithAddress("relay.alfa.example:8443").WithPriority(1)).
				WithTrust(applyv1alpha1.PeerTrust().WithBundle(bundle).WithRotation(v1alpha1.RotationManual)).
				WithLimits(applyv1alpha1.PeerLimits().WithTunnelConnections(64).WithTunnelKibibytesPerSecond(1024)).
				WithDetection(applyv1alpha1.DetectionBudget().WithIntervalMilliseconds(50).WithMisses(2))),
			status: applyv1alpha1.PeerCERT("alfa", namespace).WithStatus(applyv1alpha1.PeerCERTStatus().
				WithObservedGeneration(1).WithConditions(ready()).WithDetectionMilliseconds(100).WithProtocolVersion(1).
				WithTLS(applyv1alpha1.PeerTLS().WithVersion("TLS 1.3").WithGroup("X25519MLKEM768")).
				WithTrust(applyv1alpha1.PeerTrustStatus().WithFingerprint("0123").WithSource(v1alpha1.TrustFromSpec)).
				WithPeerReport(applyv1alpha1.PeerReport().WithState("Active").WithOutbound("Up").WithInbound("Up").WithPathsUp(2).
					WithObservedTime(metav1.Unix(1_767_225_600, 0))).
				WithPaths(
					applyv1alpha1.PeerPath().WithAddress("relay.alfa.example:8443").WithDirection(v1alpha1.PathDialed).WithState("Up"),
					applyv1alpha1.PeerPath().WithAddress("relay.alfa.example:8443").WithDirection(v1alpha1.PathAccepted).WithState("Down"))),
			extract: func(o client.Object, owner, subresource string) (runtime.ApplyConfiguration, error) {
				return applyv1alpha1.ExtractPeerCERTFrom(o.(*v1alpha1.PeerCERT), owner, subresource)
			},
		},
		"SharedFeed": {
			object: &v1alpha1.SharedFeed{},
			spec: applyv1alpha1.SharedFeed("advisories", namespace).WithSpec(applyv1alpha1.SharedFeedSpec().
				WithDirection(v1alpha1.FeedExport).
				WithExport(applyv1alpha1.FeedExportSpec().WithPeerRefs(peer).
					WithSources(applyv1alpha1.FeedSource().WithName("desk")).
					WithRule(applyv1alpha1.FeedRule().WithMaxTLP(v1alpha1.TLPGreen).WithTypes("indicator")))),
			status: applyv1alpha1.SharedFeed("advisories", namespace).WithStatus(applyv1alpha1.SharedFeedStatus().
				WithObservedGeneration(1).WithConditions(ready()).WithStored(2).WithShared(1).WithHeld(1).
				WithHeldReasons(applyv1alpha1.HeldCount().WithReason("Unmarked").WithObjects(1))),
			extract: func(o client.Object, owner, subresource string) (runtime.ApplyConfiguration, error) {
				return applyv1alpha1.ExtractSharedFeedFrom(o.(*v1alpha1.SharedFeed), owner, subresource)
			},
		},
		"SharedService": {
			object: &v1alpha1.SharedService{},
			spec: applyv1alpha1.SharedService("misp", namespace).WithSpec(applyv1alpha1.SharedServiceSpec().
				WithDirection(v1alpha1.ServiceExport).
				WithExport(applyv1alpha1.ServiceExportSpec().WithPeerRefs(peer).
					WithServiceRef(applyv1alpha1.ServiceReference().WithName("misp-web").WithPort(443)).
					WithLimits(applyv1alpha1.ServiceLimits().WithMaxConnections(200).WithIdleSeconds(600)))),
			status: applyv1alpha1.SharedService("misp", namespace).WithStatus(applyv1alpha1.SharedServiceStatus().
				WithObservedGeneration(1).WithConditions(ready()).WithPeers("alfa").WithAddress("misp-web.cert.svc:443").WithRefused(1)),
			extract: func(o client.Object, owner, subresource string) (runtime.ApplyConfiguration, error) {
				return applyv1alpha1.ExtractSharedServiceFrom(o.(*v1alpha1.SharedService), owner, subresource)
			},
		},
		"Hotline": {
			object: &v1alpha1.Hotline{},
			spec: applyv1alpha1.Hotline("alfa", namespace).WithSpec(applyv1alpha1.HotlineSpec().WithPeerRef(peer).
				WithDeadlines(applyv1alpha1.HotlineDeadline().WithPrecedence(v1alpha1.PrecedenceFlash).WithReceiptSeconds(15))),
			status: applyv1alpha1.Hotline("alfa", namespace).WithStatus(applyv1alpha1.HotlineStatus().
				WithObservedGeneration(1).WithConditions(ready()).WithUnacknowledged(0)),
			extract: func(o client.Object, owner, subresource string) (runtime.ApplyConfiguration, error) {
				return applyv1alpha1.ExtractHotlineFrom(o.(*v1alpha1.Hotline), owner, subresource)
			},
		},
	}
}

type configuration struct {
	object       client.Object
	spec, status runtime.ApplyConfiguration
	extract      func(o client.Object, owner, subresource string) (runtime.ApplyConfiguration, error)
}

// TestApplyConfigurations applies a spec and a status by two authors and finds
// that each owns what it applied and no more, and that applying again writes nothing.
func TestApplyConfigurations(t *testing.T) {
	s := start(t)
	bundle, _ := valueAt(readObject(t, repository+"/config/samples/certlink_v1alpha1_peercert.yaml"), "spec.trust.bundle")
	all := func() map[string]configuration { return configurations(s.Namespace, bundle.(string)) }
	for kind := range all() {
		t.Run(kind, func(t *testing.T) {
			applyBoth := func() configuration {
				t.Helper()
				c := all()[kind] // Apply writes the answer into what it is given
				if err := s.Client.Apply(t.Context(), c.spec, author); err != nil {
					t.Fatalf("applying the spec: %v", err)
				}
				if err := s.Client.Status().Apply(t.Context(), c.status, observer, client.ForceOwnership); err != nil {
					t.Fatalf("applying the status: %v", err)
				}
				read(t.Context(), t, s.Client, c)
				return c
			}
			once := applyBoth()
			owned(t, once, author, "", all()[kind].spec)
			owned(t, once, observer, "status", all()[kind].status)
			twice := applyBoth()
			if before, after := once.object.GetResourceVersion(), twice.object.GetResourceVersion(); before != after {
				t.Errorf("applying the same again wrote version %s after %s", after, before)
			}
			if got := s.Warnings.all(); len(got) > 0 {
				t.Errorf("the API server warned: %q", got)
			}
		})
	}
}

func read(ctx context.Context, t *testing.T, c client.Client, of configuration) {
	t.Helper()
	named, ok := of.spec.(interface {
		GetName() *string
		GetNamespace() *string
	})
	if !ok {
		t.Fatalf("%T has no name", of.spec)
	}
	if err := c.Get(ctx, client.ObjectKey{Namespace: *named.GetNamespace(), Name: *named.GetName()}, of.object); err != nil {
		t.Fatal(err)
	}
}

// owned compares what an author applied with what the API server says it owns.
func owned(t *testing.T, c configuration, owner client.FieldOwner, subresource string, want runtime.ApplyConfiguration) {
	t.Helper()
	got, err := c.extract(c.object, string(owner), subresource)
	if err != nil {
		t.Fatalf("extracting what %s owns: %v", owner, err)
	}
	if diff := cmp.Diff(asText(t, want), asText(t, got)); diff != "" {
		t.Errorf("what %s owns (-applied +owned):\n%s", owner, diff)
	}
}

// asText makes apply configurations comparable: quantities and times hold caches.
func asText(t *testing.T, configuration runtime.ApplyConfiguration) []string {
	t.Helper()
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(configuration)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	flatten("", object, func(path string, value any) { lines = append(lines, fmt.Sprintf("%s=%v", path, value)) })
	return lines
}
