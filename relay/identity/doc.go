// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package identity holds who we are and whom we trust, as one immutable snapshot
// behind one atomic pointer: our link, local and signing certificates, our own
// CA, and each peer with the bundle of its own CA.
//
// It promises:
//
//   - A certificate is verified against the bundle of the trust domain that its
//     leaf names, and no other. A bundle vouches for its own trust domain only:
//     a leaf for charlie signed by bravo's CA is refused.
//   - Identity comes from the leaf alone, from its one SPIFFE URI SAN.
//   - Verification runs on every connection, in VerifyConnection.
//   - A peer that is unknown or Revoked is nobody, from the snapshot that says so.
//   - A bundle that was learned from a peer's offer counts while the configured one
//     that it builds on is configured. A configured bundle that changes counts at
//     once, and what was learned under another one is forgotten.
//   - What the peer itself retired by an offer is told apart (Snapshot.Retired) from
//     what a person took away: the first may end in peace, the second is cut.
//   - Files are read again when they change. A set that does not hold together
//     (key and certificate, chain and CA, the name) leaves the last good one in
//     place and is reported.
//
// It does not ask an authority about revoked certificates: a peer is revoked in
// the configuration. It is the only package that decides whom to trust, so it is
// also the only one that builds TLS configurations.
package identity
