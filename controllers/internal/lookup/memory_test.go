// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package lookup

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/certlink/certlink/controllers/internal/relayconfig"
)

// counting counts what is read whole.
type counting struct {
	client.Reader
	whole int
}

func (c *counting) Get(ctx context.Context, key client.ObjectKey, into client.Object, opts ...client.GetOption) error {
	c.whole++
	return c.Reader.Get(ctx, key, into, opts...)
}

func TestAConfigMapIsReadOnceForEachVersion(t *testing.T) {
	from := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "cert", Name: "bundles"}, Data: map[string]string{"own.json": "{}"}}
	api := fake.NewClientBuilder().WithObjects(from).Build()
	whole := &counting{Reader: api}
	var m Memory
	objects := []relayconfig.Object{{Kind: relayconfig.ConfigMap, Name: "bundles"}, {Kind: relayconfig.ConfigMap, Name: "missing"}}
	look := func(reads int) Contents {
		t.Helper()
		got, err := m.Read(t.Context(), api, whole, "cert", objects)
		if err != nil {
			t.Fatal(err)
		}
		want, err := Read(t.Context(), api, "cert", objects)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("not what Read gives (-want +got):\n%s", diff)
		}
		if whole.whole != reads {
			t.Errorf("%d ConfigMaps were read whole, want %d", whole.whole, reads)
		}
		return got
	}
	first := look(1)
	look(1)
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(from), from); err != nil {
		t.Fatal(err)
	}
	from.BinaryData = map[string][]byte{"more.json": []byte("{}")}
	if err := api.Update(t.Context(), from); err != nil {
		t.Fatal(err)
	}
	if look(2).Digest == first.Digest {
		t.Error("the digest does not change with the content")
	}
	if err := api.Delete(t.Context(), from); err != nil {
		t.Fatal(err)
	}
	if gone := look(2); len(gone.Keys) != 0 {
		t.Errorf("a ConfigMap that is gone has keys: %v", gone.Keys)
	}
}
