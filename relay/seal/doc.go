// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package seal encrypts what travels through the hands of others, a peer that carries it
// on or a courier, so that only the relay it is for can read it: HPKE (RFC 9180) with the
// hybrid post-quantum KEM MLKEM768-X25519, HKDF-SHA256 and AES-256-GCM.
//
// It promises that who lacks the private key learns no more of the content than its
// padded size; that a change of one bit, another sender, receiver or purpose than those
// named when it was sealed makes Open fail; and that everything is bounded before it is
// decoded. Sizes are padded so that they differ in few bits only.
//
// HPKE's base mode does not say who sealed: what is sealed is signed inside, by the
// sender's journal. It does not hide from the carrier for whom it is. It keeps no keys.
package seal
