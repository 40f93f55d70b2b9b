// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package journal is the tamper-evident log of a hotline: a Merkle tree (RFC 6962
// section 2.1) whose state is a signed checkpoint (C2SP tlog-checkpoint), and from
// which any entry can be proven alone (C2SP tlog-proof).
//
// It promises that what Check accepts is an entry of the log of that origin, under a
// checkpoint signed by that very key; that two checkpoints between which a consistency
// proof holds are of one history; and that Audit finds every entry which was edited,
// removed, inserted or moved since a checkpoint that was kept. Everything that a peer
// sent is bounded before it is decoded.
//
// It keeps nothing: hashes and entries are read through HashReader and written by the
// caller, in the transaction in which the entries themselves are stored. A checkpoint
// is signed for what that transaction holds, so none exists for a size that was not
// committed:
//
//	read the tree's right edge → Grow → Seal → store entries, hashes and checkpoint (one commit)
//
// A crash before the commit leaves the log as it was, and the signed checkpoint, which
// nobody has seen, is lost with it.
//
// It does not know who may sign for an origin: the caller verifies the certificate.
package journal
