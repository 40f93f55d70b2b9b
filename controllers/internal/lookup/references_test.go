// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package lookup

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/controllers/internal/relayconfig"
)

// shelf holds one Secret and one ConfigMap, of any name but "missing".
type shelf struct {
	client.Reader

	secret corev1.Secret
	from   corev1.ConfigMap
}

func (s shelf) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	if key.Name == "missing" {
		return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
	}
	switch o := into.(type) {
	case *corev1.Secret:
		s.secret.DeepCopyInto(o)
	case *corev1.ConfigMap:
		s.from.DeepCopyInto(o)
	}
	return nil
}

func TestRead(t *testing.T) {
	password := relayconfig.Object{Kind: relayconfig.Secret, Name: "charlie"}
	bundles := relayconfig.Object{Kind: relayconfig.ConfigMap, Name: "bundles"}
	missing := relayconfig.Object{Kind: relayconfig.Secret, Name: "missing"}
	s := shelf{
		secret: corev1.Secret{ObjectMeta: metav1.ObjectMeta{UID: "u", ResourceVersion: "1"}, Data: map[string][]byte{"username": []byte("alfa"), "password": []byte("1234")}},
		from:   corev1.ConfigMap{Data: map[string]string{"own.json": "{}"}},
	}
	read := func(objects ...relayconfig.Object) Contents {
		t.Helper()
		c, err := Read(t.Context(), s, "cert", objects)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	all := []relayconfig.Object{bundles, password, missing}
	first := read(all...)
	want := relayconfig.Keys{password: {"password", "username"}, bundles: {"own.json"}}
	if diff := cmp.Diff(want, first.Keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if none := read(); none.Digest != "" {
		t.Errorf("nothing has the digest %q", none.Digest)
	}

	s.secret.Data["password"] = []byte("4321")
	if read(all...).Digest != first.Digest {
		t.Error("whoever sees a pod can try passwords against the digest")
	}
	s.secret.ResourceVersion = "2"
	changed := read(all...)
	if changed.Digest == first.Digest {
		t.Error("a changed Secret leaves the digest as it is")
	}
	s.from.ResourceVersion = "9"
	if read(all...).Digest != changed.Digest {
		t.Error("a ConfigMap that holds the same changes the digest")
	}
	s.from.Data["own.json"] = "[]"
	if read(all...).Digest == changed.Digest {
		t.Error("a changed ConfigMap leaves the digest as it is")
	}
}
