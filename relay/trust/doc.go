// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package trust keeps the bundles that were learned from peers, and the record of
// every change of trust: whose, what, why, when, with the hashes before and after.
//
// It promises:
//
//   - A bundle that is learned is on stable storage, with its record, before it is in
//     force; after a crash at any point it is in force or was never acknowledged.
//   - What a person or a renewal changes (configuration, files) is recorded as soon as
//     it is seen, once: a restart compares with what was recorded last.
//   - Each record holds the SHA-256 of the one before it. That chain is verified
//     whenever records are read; a break is reported, and does not stop the relay.
//   - Nothing is ever pruned: a change is a few records of about 1 KiB, and a peer can
//     cause at most 32 a day.
//
// The chain shows that something inside was changed or taken out. It cannot show
// that the end is missing, or that all was written anew by who has the volume: for
// that, note the hash of the last record elsewhere from time to time.
//
// It does not decide whom to trust: package offer judges what peers offer, and
// package identity verifies.
package trust
