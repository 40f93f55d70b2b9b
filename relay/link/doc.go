// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package link carries requests and tunnels between our relay and those of our
// peers: streams (package stream) on connections over mutual TLS 1.3, on one port,
// with separate connections and limits for each class of traffic (ALPN), so that a
// saturated feed never delays a hotline.
//
// A Pool keeps connections parked on every path to a peer: on the addresses that
// we dial and on those of ours that the peer dials. Either side uses them in
// either direction, so a new exchange costs one round trip and no handshake, and
// a side that nobody can dial takes part fully.
//
// It promises, for what arrives (Server), whoever dialled: who sent it is in the
// context (access.Peer), was verified in the handshake and again since trust last
// changed; a revoked or unknown peer reaches no handler; the class allows the
// path; header, body, time, connections and paths are bounded. For requests that
// leave (Pool): they go only to the relay of the trust domain in the URL, over the
// best path that has a connection; an error says what is wrong, on which side, and
// what to do.
//
// A change of trust (a new bundle, a revocation, an expiry) cuts the connections
// that would not be accepted any more. Where the peer itself retired a root, they
// take no new stream and end with the present one. A renewed certificate of ours ends no
// stream.
//
// Every request of the link may be repeated (messages are keyed by id, the others
// only read). A request is sent again when its connection ended before a byte of the
// response had come, and over several paths where its context says so; a
// response, whatever its status, is never asked for twice otherwise. Streams of
// tunnels are not repeated: Again tells their owner when nothing was delivered.
//
// The wire protocol is described in docs/link-protocol.md.
package link
