// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package check looks at each address of a peer, now, and names the layer of the
// link that fails: name, port, TLS, trust domain, chain, clock or protocol.
//
// It promises that whom it trusts is whom the relay trusts: connections are
// opened by the link's pool under the live snapshot of identity, and probes are
// asked by the prober. It judges only what these saw, as a pure function, and
// verifies nothing a second time.
//
// It changes nothing on our side: no state of a path, no ranking. The peer sees a
// probe like all others, one request for the list of feeds, and one empty hotline
// request, which its relay refuses without storing anything.
//
// Of a peer that only dials us, it looks at the connections which that peer has
// opened, and says so.
//
// One check of a peer runs at a time and ends within desk.MaxCheck.
package check
