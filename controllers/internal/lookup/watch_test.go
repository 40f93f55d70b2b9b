// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package lookup

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/certlink/certlink/api/v1alpha1"
)

func hotline(namespace, name, peer string) *v1alpha1.Hotline {
	return &v1alpha1.Hotline{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.HotlineSpec{PeerRef: v1alpha1.PeerReference{Name: peer}},
	}
}

func cluster(t *testing.T, broken error) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).
		WithObjects(hotline("cert", "first", "bravo"), hotline("cert", "second", "charlie"), hotline("other", "third", "bravo")).
		WithIndex(&v1alpha1.Hotline{}, ByPeer, hotlinePeer).
		WithInterceptorFuncs(interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, o ...client.ListOption) error {
			if broken != nil {
				return broken
			}
			return c.List(ctx, l, o...)
		}}).Build()
}

func TestAKindIsFoundInTheNamespaceOfWhatChanged(t *testing.T) {
	k := Of(cluster(t, nil), &v1alpha1.HotlineList{})
	if diff := cmp.Diff([]string{"first", "second"}, k.Names(t.Context(), "cert")); diff != "" {
		t.Error(diff)
	}
	changed := &v1alpha1.PeerCERT{ObjectMeta: metav1.ObjectMeta{Namespace: "cert", Name: "bravo"}}
	if got := k.All(t.Context(), changed); len(got) != 2 || got[0].Namespace != "cert" || got[1].Name != "second" {
		t.Errorf("got %v", got)
	}
	if got := k.By(ByPeer, client.Object.GetName)(t.Context(), changed); len(got) != 1 || got[0].String() != "cert/first" {
		t.Errorf("got %v", got)
	}
}

func TestCachesThatCannotBeReadAreLogged(t *testing.T) {
	var lines []string
	ctx := log.IntoContext(t.Context(), funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}))
	k := Of(cluster(t, errors.New("the cache is not started")), &v1alpha1.HotlineList{})
	if got := k.Names(ctx, "cert"); got != nil {
		t.Errorf("got %v", got)
	}
	if len(lines) != 1 || !strings.Contains(lines[0], "the cache is not started") || !strings.Contains(lines[0], "HotlineList") {
		t.Errorf("logged %q", lines)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	k.Names(ended, "cert")
	if len(lines) != 1 {
		t.Error("an operator that stops logs an error")
	}
}
