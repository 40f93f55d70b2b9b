// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package access says who is at the other end of a connection and carries that
// through a request's context. Identity comes from the verified leaf certificate
// alone; a context without an identity is nobody, and nobody may do anything.
package access

import (
	"context"

	"github.com/certlink/certlink/relay/config"
)

// Peer is an authenticated peer on the link port, as configured at the moment
// of the request.
type Peer struct {
	// Name is our name for the peer (the PeerCERT).
	Name string
	// TrustDomain of its leaf, verified against its own bundle.
	TrustDomain string
	// State as configured; never Revoked, a revoked peer is nobody.
	State config.PeerState
	// Relay is true when the leaf is that of the peer's relay
	// (spiffe://TRUSTDOMAIN/relay). Any other leaf of the peer may only read
	// TAXII.
	Relay bool
}

// FeedsAllowed tells whether feeds may flow to and from the peer now.
func (p Peer) FeedsAllowed() bool { return p.State == config.Active }

// Role is what a local client may do; it is the first part of the path of its SPIFFE ID.
type Role string

// The roles of the local port. See package desk.
const (
	RoleOperator Role = "operator"
	RoleDesk     Role = "desk"
	RoleTool     Role = "tool"
)

type (
	peerKey     struct{}
	roleKey     struct{}
	identityKey struct{}
)

// WithPeer returns a context that carries the peer.
func WithPeer(ctx context.Context, p Peer) context.Context {
	return context.WithValue(ctx, peerKey{}, p)
}

// PeerFrom returns the peer of a request; false means nobody.
func PeerFrom(ctx context.Context) (Peer, bool) {
	p, ok := ctx.Value(peerKey{}).(Peer)
	return p, ok
}

// WithRole returns a context that carries the local role.
func WithRole(ctx context.Context, r Role) context.Context {
	return context.WithValue(ctx, roleKey{}, r)
}

// RoleFrom returns the local role of a request; false means nobody.
func RoleFrom(ctx context.Context) (Role, bool) {
	r, ok := ctx.Value(roleKey{}).(Role)
	return r, ok
}

// WithIdentity returns a context that carries the SPIFFE ID of a local client.
func WithIdentity(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}

// IdentityFrom returns the SPIFFE ID of the client of the local port, as its verified
// certificate has it; empty means nobody. A renewed certificate is the same identity.
func IdentityFrom(ctx context.Context) string {
	id, _ := ctx.Value(identityKey{}).(string)
	return id
}
