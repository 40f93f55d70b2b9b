// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package relayclient is the client of a relay's local port: the hotline and the
// local TAXII collections, as a duty officer's tool uses them.
//
// It promises mutual TLS 1.3 with the relay and with nobody else: the relay's
// certificate must name spiffe://TRUSTDOMAIN/local and chain to our own CA. What
// it reads is bounded. Send may be repeated, because the caller's message id
// makes it idempotent, and is repeated by the client after a broken connection.
//
// It does not know Kubernetes: how the relay is reached is the caller's Dial.
package relayclient
