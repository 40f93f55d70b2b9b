// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package link carries requests between our relay and those of our peers: HTTP/1.1
// over mutual TLS 1.3, on one port, with one kind of connection for each class of
// traffic (ALPN), so that a saturated feed never delays a hotline.
//
// It promises, for requests that arrive (Server): who sent it is in the context
// (access.Peer), was verified in the handshake and again since trust last
// changed; a revoked or unknown peer reaches no handler; the class allows the
// path; header, body and time are bounded. For requests that leave (Dialer): they
// go only to the relay of the trust domain in the URL, over the best path that
// accepts a connection; an error says what is wrong, on which side, and what to do.
//
// A change of trust (a new bundle, a revocation, an expiry) cuts the connections
// that would not be accepted any more.
//
// It does not retry requests: a caller knows which of its requests may be
// repeated. The wire protocol is described in docs/link-protocol.md.
package link
