// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package lookup

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/certlink/certlink/controllers/internal/relayconfig"
)

// maxRemembered is the number of ConfigMaps that a Memory knows; beyond it, it begins anew.
const maxRemembered = 4096

// Memory remembers which keys ConfigMaps have and what their content comes to, by their
// versions: one that has not changed is not read again, as it may have a MiB and whoever asks may
// do so each second. It keeps no content. The zero value is ready; its method may be called
// concurrently.
type Memory struct {
	mu    sync.Mutex // guards what follows
	known map[types.NamespacedName]remembered
}

type remembered struct {
	at string // the version
	held
}

// Read is the function Read; the versions of ConfigMaps are read from metadata.
func (m *Memory) Read(ctx context.Context, metadata, direct client.Reader, namespace string, objects []relayconfig.Object) (Contents, error) {
	return gather(objects, func(o relayconfig.Object) (held, error) {
		key := types.NamespacedName{Namespace: namespace, Name: o.Name}
		if o.Kind != relayconfig.ConfigMap {
			return read(ctx, direct, key, o.Kind)
		}
		version, err := versionOf(ctx, metadata, key)
		if err != nil || version == "" {
			return held{}, err
		}
		if h, ok := m.recall(key, version); ok {
			return h, nil
		}
		// What is read may be newer than the version: then it is read once more the next time.
		h, err := read(ctx, direct, key, o.Kind)
		if err == nil && h.there {
			m.keep(key, version, h)
		}
		return h, err
	})
}

// versionOf is the version of a ConfigMap, empty where there is none.
func versionOf(ctx context.Context, metadata client.Reader, key types.NamespacedName) (string, error) {
	var about metav1.PartialObjectMetadata
	about.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	if err := metadata.Get(ctx, key, &about); err != nil {
		return "", client.IgnoreNotFound(err)
	}
	return string(about.UID) + "/" + about.ResourceVersion, nil
}

func (m *Memory) recall(key types.NamespacedName, version string) (held, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.known[key]
	return r.held, ok && r.at == version
}

func (m *Memory) keep(key types.NamespacedName, version string, h held) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || len(m.known) >= maxRemembered {
		m.known = map[types.NamespacedName]remembered{}
	}
	m.known[key] = remembered{version, h}
}
