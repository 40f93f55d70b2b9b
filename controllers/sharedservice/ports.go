// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sharedservice

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/certlink/certlink/api/v1alpha1"
	"github.com/certlink/certlink/controllers/internal/relayconfig"
)

// ports remembers which ports were given away, until the caches show them in a
// status: without that, two imports made at once could be given the same. The
// status is what survives a restart. It is safe concurrently.
type ports struct {
	mu    sync.Mutex
	given map[string]map[string]int32 // by namespace and name
}

// assign returns the port of an import; zero when there is none left.
func (p *ports) assign(s *v1alpha1.SharedService, siblings []v1alpha1.SharedService) int32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	port := relayconfig.ServicePort(s, siblings, p.given[s.Namespace])
	if port == 0 {
		return 0
	}
	if p.given == nil {
		p.given = map[string]map[string]int32{}
	}
	if p.given[s.Namespace] == nil {
		p.given[s.Namespace] = map[string]int32{}
	}
	p.given[s.Namespace][s.Name] = port
	return port
}

func (p *ports) forget(key types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.given[key.Namespace], key.Name)
	if len(p.given[key.Namespace]) == 0 {
		delete(p.given, key.Namespace)
	}
}
