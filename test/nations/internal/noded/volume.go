// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package noded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"golang.org/x/sys/unix"

	"github.com/certlink/certlink/test/nations/internal/layout"
)

const (
	// Provisioner is the name in the storage classes.
	Provisioner = "nations.certlink.dev/node"
	// classStandard and classBounded are the storage classes.
	classStandard, classBounded = "standard", "bounded"

	provisionedBy = "pv.kubernetes.io/provisioned-by"
)

// volumes makes a volume for each claim that waits for one, and removes those whose claim is gone.
//
// The directory comes before the object, and goes before it: after a crash in between, the next round finds the claim
// or the object still there and does the step again.
func (d *daemon) volumes(ctx context.Context) error {
	claims, err := d.factory.Core().V1().PersistentVolumeClaims().Lister().List(labels.Everything())
	if err != nil {
		return fmt.Errorf("listing claims: %w", err)
	}
	volumes, err := d.factory.Core().V1().PersistentVolumes().Lister().List(labels.Everything())
	if err != nil {
		return fmt.Errorf("listing volumes: %w", err)
	}
	volumes = slices.DeleteFunc(slices.Clone(volumes), func(v *corev1.PersistentVolume) bool { return v.Annotations[provisionedBy] != Provisioner })
	var all error
	for _, v := range volumes {
		switch {
		case v.DeletionTimestamp != nil:
			// Its directory is gone, and its finalizer will be.
		case v.Status.Phase == corev1.VolumeReleased:
			all = errors.Join(all, d.remove(ctx, v))
		default:
			// The memory of a bounded one is lost when the node starts anew.
			all = errors.Join(all, ensureDirectory(v))
		}
	}
	for _, claim := range claims {
		known := slices.ContainsFunc(volumes, func(v *corev1.PersistentVolume) bool { return v.Name == volumeName(claim) })
		if !known && wantsVolume(claim) {
			all = errors.Join(all, d.provision(ctx, claim))
		}
	}
	return all
}

func wantsVolume(claim *corev1.PersistentVolumeClaim) bool {
	class := claim.Spec.StorageClassName
	return class != nil && (*class == classStandard || *class == classBounded) &&
		claim.Spec.VolumeName == "" && claim.DeletionTimestamp == nil
}

func volumeName(claim *corev1.PersistentVolumeClaim) string { return "pvc-" + string(claim.UID) }

func (d *daemon) provision(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	volume := newVolume(d.Nation, d.Volumes, claim)
	if err := ensureDirectory(volume); err != nil {
		return err
	}
	_, err := d.client.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("making a volume for claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	return nil
}

// newVolume is a local volume, so that kubelet applies a pod's fsGroup to it as it does to a real disk's.
func newVolume(n layout.Nation, root string, claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolume {
	mode := corev1.PersistentVolumeFilesystem
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: volumeName(claim), Annotations: map[string]string{provisionedBy: Provisioner}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			AccessModes:                   claim.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			StorageClassName:              *claim.Spec.StorageClassName,
			VolumeMode:                    &mode,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				Local: &corev1.LocalVolumeSource{Path: filepath.Join(root, volumeName(claim))},
			},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{
					{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{n.NodeName()}},
				},
			}}}},
		},
	}
}

// ensureDirectory makes the volume's directory and, for a bounded one, mounts memory of that size on it.
func ensureDirectory(v *corev1.PersistentVolume) error {
	path := v.Spec.Local.Path
	if err := os.MkdirAll(path, 0o755); err != nil {
		return fmt.Errorf("making the directory of volume %q: %w", v.Name, err)
	}
	if v.Spec.StorageClassName != classBounded {
		return nil
	}
	mounted, err := isMounted(path)
	if err != nil || mounted {
		return err
	}
	size := v.Spec.Capacity[corev1.ResourceStorage]
	if err := unix.Mount("tmpfs", path, "tmpfs", 0, fmt.Sprintf("size=%d,mode=755", size.Value())); err != nil {
		return fmt.Errorf("mounting %s of memory for volume %q: %w", size.String(), v.Name, err)
	}
	return nil
}

func isMounted(path string) (bool, error) {
	var own, parent unix.Stat_t
	if err := errors.Join(unix.Stat(path, &own), unix.Stat(filepath.Dir(path), &parent)); err != nil {
		return false, fmt.Errorf("looking at %q: %w", path, err)
	}
	return own.Dev != parent.Dev, nil
}

func (d *daemon) remove(ctx context.Context, v *corev1.PersistentVolume) error {
	path := v.Spec.Local.Path
	// Anything else in an object that carries our annotation is not our doing.
	if filepath.Dir(path) != filepath.Clean(d.Volumes) {
		return fmt.Errorf("removing volume %q: its path %q is not below %q", v.Name, path, d.Volumes)
	}
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmounting volume %q: %w", v.Name, err)
	}
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("removing the directory of volume %q: %w", v.Name, err)
	}
	err := d.client.CoreV1().PersistentVolumes().Delete(ctx, v.Name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("removing volume %q: %w", v.Name, err)
	}
	return nil
}
