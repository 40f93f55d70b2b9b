// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package wire is the form in which two relays exchange parts of their journals: a batch
// of entries under one signed checkpoint (docs/hotline-protocol.md). It is CBOR (RFC 8949).
//
// It promises that Decode bounds everything before it is decoded; that what Open returned
// is signed by the key that the caller found in the batch's chain, for the log that the
// caller asked for; and that an entry which Check accepted is in that log at its index.
// The checkpoint's signature is verified once, each entry by hashes alone, and a node of
// the tree that was proven for one entry proves the others.
//
// It keeps nothing, trusts no certificate by itself, and does not read what entries say.
package wire
