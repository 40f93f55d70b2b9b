// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package noded

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/certlink/certlink/test/nations/internal/layout"
)

func claim(name, class string) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: name, UID: types.UID("uid-of-" + name)}}
	c.Spec.StorageClassName = &class
	c.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	return c
}

// round runs the duty once over those objects.
func round(ctx context.Context, t *testing.T, d *daemon) error {
	t.Helper()
	d.factory = informers.NewSharedInformerFactory(d.client, 0)
	d.factory.Core().V1().PersistentVolumeClaims().Informer()
	d.factory.Core().V1().PersistentVolumes().Informer()
	d.factory.Start(ctx.Done())
	d.factory.WaitForCacheSync(ctx.Done())
	return d.volumes(ctx)
}

func TestVolumes(t *testing.T) {
	ctx := t.Context()
	alfa, err := layout.Find("alfa")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	client := fake.NewClientset(claim("mine", classStandard), claim("foreign", "other"))
	d := &daemon{Config: Config{Nation: alfa, Volumes: root, Log: slog.New(slog.DiscardHandler)}, client: client}
	volumes := client.CoreV1().PersistentVolumes()

	t.Run("a_claim_of_ours_gets_one_volume_however_often_we_look", func(t *testing.T) {
		for range 2 {
			if err := round(ctx, t, d); err != nil {
				t.Fatal(err)
			}
		}
		all, err := volumes.List(ctx, metav1.ListOptions{})
		if err != nil || len(all.Items) != 1 || all.Items[0].Spec.ClaimRef.Name != "mine" {
			t.Fatalf("got %+v, %v", all.Items, err)
		}
		if _, err := os.Stat(all.Items[0].Spec.Local.Path); err != nil {
			t.Error(err)
		}
	})
	t.Run("a_released_volume_goes_with_its_directory", func(t *testing.T) {
		volume, err := volumes.Get(ctx, "pvc-uid-of-mine", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		volume.Status.Phase = corev1.VolumeReleased
		if _, err := volumes.UpdateStatus(ctx, volume, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := client.CoreV1().PersistentVolumeClaims("demo").Delete(ctx, "mine", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := round(ctx, t, d); err != nil {
			t.Fatal(err)
		}
		if _, err := volumes.Get(ctx, volume.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("the object is still there: %v", err)
		}
		if entries, err := os.ReadDir(root); err != nil || len(entries) != 0 {
			t.Errorf("the directory still has %v: %v", entries, err)
		}
	})
	t.Run("a_volume_that_waits_for_its_finalizer_gets_no_new_directory", func(t *testing.T) {
		going := newVolume(alfa, root, claim("going", classStandard))
		going.DeletionTimestamp, going.Finalizers = &metav1.Time{}, []string{"kubernetes.io/pv-protection"}
		if err := client.Tracker().Add(going); err != nil {
			t.Fatal(err)
		}
		if err := round(ctx, t, d); err != nil {
			t.Fatal(err)
		}
		if entries, err := os.ReadDir(root); err != nil || len(entries) != 0 {
			t.Errorf("the directory has %v: %v", entries, err)
		}
	})
	t.Run("a_path_that_is_not_ours_is_never_removed", func(t *testing.T) {
		precious := t.TempDir()
		volume := newVolume(alfa, precious, claim("forged", classStandard))
		volume.Spec.Local.Path = precious
		volume.Status.Phase = corev1.VolumeReleased
		if err := d.remove(ctx, volume); err == nil {
			t.Error("it was removed")
		}
		if _, err := os.Stat(filepath.Clean(precious)); err != nil {
			t.Error(err)
		}
	})
}
