// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package tunnel shares TCP services with peers: connections to a port of our relay
// (an import) come out at a service on the peer's side (an export), over streams
// of parked connections.
//
// It promises: only a peer that the export names, and that is Active, gets a
// connection; whoever may not use a service learns no more than that (403), and is
// counted. Bytes arrive in order or the connection is reset; each direction ends by
// itself; who does not read stops who sends; nothing is held but one buffer for each
// direction, and neither a buffer nor a goroutine while no byte moves. Limits of connections, idle time and bandwidth hold for each service
// and peer. When a peer is Suspended or Revoked, or a service is no longer shared,
// its connections are cut at once; those of a Drained peer end by themselves.
//
// It does not look into the bytes, and does not authenticate (package link does).
//
// The side that imports opens a stream and sends
//
//	CONNECT SERVICE HTTP/1.1
//
// with the fields of HTTP (RFC 9110 section 9.3.6). After an answer of 200 the
// stream carries the bytes of the connection; after any other it ends.
package tunnel
