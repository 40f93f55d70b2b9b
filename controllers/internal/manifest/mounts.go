// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"crypto/sha256"
	"encoding/hex"

	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/certlink/certlink/controllers/internal/relayconfig"
)

// secretsVolume holds all Secrets that resources name, one directory each.
const secretsVolume = "secrets"

// volumesOf are the volumes of Secrets and ConfigMaps that resources name. All are
// optional: the relay runs without them, and says what it cannot do. Of a Secret the
// pod sees the keys that the relay knows, and no others.
func volumesOf(mounted []relayconfig.Object) []*corev1ac.VolumeApplyConfiguration {
	var out []*corev1ac.VolumeApplyConfiguration
	secrets := corev1ac.ProjectedVolumeSource().WithDefaultMode(0o440)
	for _, o := range mounted {
		if o.Kind == relayconfig.ConfigMap {
			out = append(out, corev1ac.Volume().WithName(configMapVolume(o.Name)).
				WithConfigMap(corev1ac.ConfigMapVolumeSource().WithName(o.Name).WithOptional(true)))
			continue
		}
		projection := corev1ac.SecretProjection().WithName(o.Name).WithOptional(true)
		for _, key := range relayconfig.SecretKeys() {
			projection.WithItems(corev1ac.KeyToPath().WithKey(key).WithPath(o.Name + "/" + key))
		}
		secrets.WithSources(corev1ac.VolumeProjection().WithSecret(projection))
	}
	if len(secrets.Sources) > 0 {
		out = append(out, corev1ac.Volume().WithName(secretsVolume).WithProjected(secrets))
	}
	return out
}

// mountsOf are the mounts of these volumes.
func mountsOf(mounted []relayconfig.Object) []*corev1ac.VolumeMountApplyConfiguration {
	var out []*corev1ac.VolumeMountApplyConfiguration
	mount := func(name, path string) {
		out = append(out, corev1ac.VolumeMount().WithName(name).WithMountPath(path).WithReadOnly(true))
	}
	secrets := false
	for _, o := range mounted {
		if o.Kind == relayconfig.ConfigMap {
			mount(configMapVolume(o.Name), relayconfig.ConfigMapsPath+o.Name)
		}
		secrets = secrets || o.Kind == relayconfig.Secret
	}
	if secrets {
		mount(secretsVolume, relayconfig.SecretsPath[:len(relayconfig.SecretsPath)-1])
	}
	return out
}

// configMapVolume is a label, as a volume's name must be; a ConfigMap's may be longer
// and hold dots.
func configMapVolume(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "configmap-" + hex.EncodeToString(sum[:8])
}
