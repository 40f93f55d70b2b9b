// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package link

// Path is one way to a peer. It is comparable.
type Path struct {
	// TrustDomain of the peer.
	TrustDomain string
	// Address HOST:PORT that is dialled.
	Address string
	// Accepted: the peer dials this address of ours, as its HELLO says; else we dial
	// it.
	Accepted bool
}
