// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/relay/config"
)

// ErrBase: a learned bundle builds on another configured bundle than the one that
// is live, or the peer is Revoked. The configured one counts.
var ErrBase = errors.New("the configured bundle is another one than that which was built on")

// maxRetired is the largest number of roots that are remembered as retired, for
// each peer; the oldest goes first.
const maxRetired = 64

// Learned is a bundle that a peer offered over its authenticated link. It was
// verified and stored before (packages offer and trust).
type Learned struct {
	// TrustDomain of the peer.
	TrustDomain string
	// Base names the configured bundle that it builds on (cabundle.SetHash). It
	// counts while that is configured, and never again after another one was, or after
	// the peer was Revoked.
	Base string
	// Bundle holds the peer's CA certificates in PEM: at most 32, 32 KiB.
	Bundle string
	// At is when it was learned.
	At time.Time
}

// RetiredRoot is a CA certificate that the peer itself took out of its bundle.
type RetiredRoot struct {
	Root *x509.Certificate
	At   time.Time
}

// lesson is a Learned that was parsed.
type lesson struct {
	Learned
	roots []*x509.Certificate
}

// lessons is what was learned of all peers, by trust domain. It is replaced, never
// changed.
type lessons struct {
	learned map[string]lesson
	retired map[string][]RetiredRoot
}

// Learn puts a learned bundle of a peer into force. It fails, and changes nothing,
// with ErrBase, or when the bundle cannot be used. Before the first Apply it only
// notes it. The roots that it lacks are retired: see Snapshot.Retired.
func (s *Source) Learn(l Learned) error {
	roots, err := cabundle.Parse(l.Bundle)
	if err != nil {
		return fmt.Errorf("learning a bundle of %q: %w", l.TrustDomain, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cfg == nil {
		s.lessons = s.lessons.with(lesson{l, roots}, nil)
		return nil
	}
	now := s.Current()
	before, known := now.PeerTrust(l.TrustDomain)
	if peer, _ := now.Peer(l.TrustDomain); !known || before.Base != l.Base || peer.State == config.Revoked {
		return fmt.Errorf("learning a bundle of %q: %w", l.TrustDomain, ErrBase)
	}
	next := s.lessons.with(lesson{l, roots}, before.Roots)
	snapshot, err := s.snapshot(s.own, s.cfg, next)
	if err != nil {
		return fmt.Errorf("learning a bundle of %q: %w", l.TrustDomain, err)
	}
	s.lessons = next
	s.publish(snapshot)
	s.log.Debug("a learned bundle is in force", "peer", l.TrustDomain, "roots", cabundle.Hashes(roots))
	return nil
}

// with returns the lessons with another one, after which what was in force before
// and is no longer counts as retired.
func (l lessons) with(next lesson, before []*x509.Certificate) lessons {
	out := lessons{learned: maps.Clone(l.learned), retired: maps.Clone(l.retired)}
	if out.learned == nil {
		out.learned, out.retired = map[string]lesson{}, map[string][]RetiredRoot{}
	}
	td := next.TrustDomain
	out.learned[td] = next
	gone := slices.Clone(out.retired[td])
	for _, root := range before {
		gone = append(gone, RetiredRoot{root, next.At})
	}
	out.retired[td] = without(gone, next.roots)
	return out
}

// under returns the lessons that still count when a configuration replaces another
// one (nil: none). What was learned counts under its own base only, and not beyond a
// revocation: who had the peer's keys may have taught it to us. A root that a person
// takes out of the configured bundle takes with it what the peer retired: a person
// means at once.
func (l lessons) under(next, before *config.Config) (lessons, error) {
	out := lessons{learned: map[string]lesson{}, retired: map[string][]RetiredRoot{}}
	bases := map[string][]*x509.Certificate{}
	if before != nil {
		for _, p := range before.Peers {
			bases[p.TrustDomain], _ = parseCA([]byte(p.Bundle)) // it was live, so it can be parsed
		}
	}
	for _, p := range next.Peers {
		base, err := parseCA([]byte(p.Bundle))
		if err != nil {
			return lessons{}, fmt.Errorf("reading the bundle of peer %q: %w", p.Name, err)
		}
		inForce := base
		if learned, ok := l.learned[p.TrustDomain]; ok && learned.Base == cabundle.SetHash(base) && p.State != config.Revoked {
			out.learned[p.TrustDomain], inForce = learned, learned.roots
		}
		if p.State != config.Revoked && subset(bases[p.TrustDomain], base) {
			out.retired[p.TrustDomain] = without(l.retired[p.TrustDomain], inForce)
		}
	}
	return out, nil
}

// without returns the newest retired roots that are not in force.
func without(retired []RetiredRoot, inForce []*x509.Certificate) []RetiredRoot {
	var out []RetiredRoot
	for _, r := range retired {
		if !slices.ContainsFunc(inForce, r.Root.Equal) && !slices.ContainsFunc(out, func(o RetiredRoot) bool { return o.Root.Equal(r.Root) }) {
			out = append(out, r)
		}
	}
	return out[max(0, len(out)-maxRetired):]
}

// subset tells whether b holds all of a.
func subset(a, b []*x509.Certificate) bool {
	return !slices.ContainsFunc(a, func(c *x509.Certificate) bool { return !slices.ContainsFunc(b, c.Equal) })
}
