// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"crypto/x509"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/identity"
)

// recheckEvery is how often open connections are verified again when nothing has
// changed but the time.
const recheckEvery = 10 * time.Second

// session is an open connection to or from a peer.
type session interface {
	// chain that the other end showed.
	chain() []*x509.Certificate
	// Cut ends the connection at once.
	Cut()
}

// registry knows the open connections, so that they can be cut when trust changes.
type registry struct {
	mu   sync.Mutex
	open map[session]struct{}
}

func newRegistry() *registry { return &registry{open: map[session]struct{}{}} }

func (r *registry) add(s session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open[s] = struct{}{}
}

func (r *registry) remove(s session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, s)
}

// cut ends each connection that the condition names, and returns how many.
func (r *registry) cut(condition func(session) bool) int {
	r.mu.Lock()
	var doomed []session
	for s := range r.open {
		if condition(s) {
			doomed = append(doomed, s)
		}
	}
	r.mu.Unlock()
	for _, s := range doomed {
		s.Cut()
	}
	return len(doomed)
}

// recheck cuts the connections that the snapshot would not accept now.
func (r *registry) recheck(now *identity.Snapshot) int {
	return r.cut(func(s session) bool {
		_, _, err := now.VerifyPeer(s.chain())
		return err != nil
	})
}
