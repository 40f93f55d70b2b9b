// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package offer exchanges offers with peers. An offer is what one relay declares to
// another, signed: the protocol versions that it speaks, what it exports and
// imports, which of the other's CA certificates it accepts and has seen in use, its
// own CA certificates, and how it sees the link. Both sides send theirs in one
// exchange, when something changes and every 30 seconds.
//
// It promises:
//
//   - An offer counts only when it comes over a connection that is authenticated as
//     its sender, is signed by the sender's signing certificate under the bundle in
//     force, and is for us. Everything in it is bounded before it is used.
//   - A bundle of the peer comes into force (rotation Automatic) only when it shares
//     a root with the one in force and vouches for the certificates that the peer
//     uses now, so that neither side locks the other out; it is stored before it
//     counts, and acknowledged after that.
//   - What a person took out of the configured bundle does not come back by an offer.
//   - With no protocol version in common nothing but offers flows (Allowed, Gate).
//   - Offers older than the last one are ignored. A sender whose clock was set back
//     learns from the answer how to go on.
//   - A field that this release does not know is named in the report, never fatal.
//
// It does not judge consent: the report says what the peer declares, and each kind
// of traffic asks for both halves itself.
package offer
