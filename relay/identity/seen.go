// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"crypto/x509"
	"sync"
	"time"

	"github.com/certlink/certlink/internal/cabundle"
)

// settling is how long a certificate that began later stands against one that
// began earlier: two handshakes at the moment of a renewal can end in either order.
const settling = time.Minute

// Seen is what the relay of a peer showed in the last handshake with us, in
// whichever direction.
type Seen struct {
	// Chain, leaf first, and Root, the hash of the CA certificate that it led to.
	Chain []*x509.Certificate
	Root  string
	// At is when.
	At time.Time
}

// sights holds what was seen of each peer, since the start.
type sights struct {
	mu   sync.Mutex
	seen map[string]Seen
	// changed is told when another leaf or root is seen.
	changed func(trustDomain string)
}

func newSights() *sights { return &sights{seen: map[string]Seen{}} }

// note takes a chain that is shown just now. When it is the one that was seen before, its
// certificates are replaced, in the caller's slice too, by those that are kept
// already: connections hold on to them, and each one takes 4 KiB.
func (s *sights) note(td string, chain []*x509.Certificate, root *x509.Certificate, at time.Time) {
	next := Seen{Chain: chain, Root: cabundle.Hash(root), At: at}
	s.mu.Lock()
	before, known := s.seen[td]
	if known && equalCerts(before.Chain, chain) {
		copy(chain, before.Chain)
		next.Chain = before.Chain
	}
	if known && before.Chain[0].NotBefore.After(chain[0].NotBefore) && at.Sub(before.At) < settling {
		s.mu.Unlock()
		return
	}
	s.seen[td] = next
	changed := s.changed
	s.mu.Unlock()
	if changed != nil && (!known || before.Root != next.Root || !before.Chain[0].Equal(chain[0])) {
		changed(td)
	}
}

func (s *sights) get(td string) (Seen, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, ok := s.seen[td]
	return seen, ok
}

// keep forgets those that the condition does not name.
func (s *sights) keep(condition func(td string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for td := range s.seen {
		if !condition(td) {
			delete(s.seen, td)
		}
	}
}

// Seen returns what the relay of a peer showed in its last handshake since our
// relay started; false when there was none.
func (s *Source) Seen(trustDomain string) (Seen, bool) { return s.sights.get(trustDomain) }

// OnSeen calls f when a handshake shows another certificate of a peer's relay than
// the one before. Call it once, before Run. f must not block.
func (s *Source) OnSeen(f func(trustDomain string)) {
	s.sights.mu.Lock()
	defer s.sights.mu.Unlock()
	s.sights.changed = f
}
