// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package lookup

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/certlink/certlink/api/v1alpha1"
)

func peers(t *testing.T, broken error) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	now := metav1.Now()
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(
		&v1alpha1.PeerCERT{ObjectMeta: metav1.ObjectMeta{Namespace: "cert", Name: "bravo"}},
		&v1alpha1.PeerCERT{ObjectMeta: metav1.ObjectMeta{Namespace: "cert", Name: "charlie", DeletionTimestamp: &now, Finalizers: []string{"example.com/waits"}}},
		&v1alpha1.PeerCERT{ObjectMeta: metav1.ObjectMeta{Namespace: "other", Name: "delta"}},
	).WithInterceptorFuncs(interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, k client.ObjectKey, o client.Object, opts ...client.GetOption) error {
		if broken != nil {
			return broken
		}
		return c.Get(ctx, k, o, opts...)
	}}).Build()
}

func TestOnlyPeersThatExistAndStayAreFound(t *testing.T) {
	found, err := Peers(t.Context(), peers(t, nil), "cert", "bravo", "charlie", "delta", "echo")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"bravo"}, slices.Sorted(maps.Keys(found))); diff != "" {
		t.Error(diff)
	}
}

func TestAPeerThatCannotBeReadIsNoMissingPeer(t *testing.T) {
	away := errors.New("the API server is away")
	if _, err := Peers(t.Context(), peers(t, away), "cert", "bravo"); !errors.Is(err, away) || !strings.Contains(err.Error(), `PeerCERT "bravo"`) {
		t.Errorf("got %v", err)
	}
}

func TestFeedsAndServicesNameThePeersOfBothDirections(t *testing.T) {
	ref := func(name string) v1alpha1.PeerReference { return v1alpha1.PeerReference{Name: name} }
	both := []v1alpha1.PeerReference{ref("bravo"), ref("charlie")}
	for name, tt := range map[string]struct{ got, want []string }{
		"an exported feed":    {FeedPeers(&v1alpha1.SharedFeed{Spec: v1alpha1.SharedFeedSpec{Export: &v1alpha1.FeedExportSpec{PeerRefs: both}}}), []string{"bravo", "charlie"}},
		"an imported feed":    {FeedPeers(&v1alpha1.SharedFeed{Spec: v1alpha1.SharedFeedSpec{Import: &v1alpha1.FeedImportSpec{PeerRef: ref("bravo")}}}), []string{"bravo"}},
		"an exported service": {ServicePeers(&v1alpha1.SharedService{Spec: v1alpha1.SharedServiceSpec{Export: &v1alpha1.ServiceExportSpec{PeerRefs: both}}}), []string{"bravo", "charlie"}},
		"an imported service": {ServicePeers(&v1alpha1.SharedService{Spec: v1alpha1.SharedServiceSpec{Import: &v1alpha1.ServiceImportSpec{PeerRef: ref("bravo")}}}), []string{"bravo"}},
		"an empty feed":       {FeedPeers(&v1alpha1.SharedFeed{}), nil},
	} {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
