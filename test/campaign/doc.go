// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package campaign lets two real relays exchange messages over a real hotline while
// faults hit both, drawn from a seed, and judges what is left: make bench-faults runs a
// long one, make test a short one.
//
//	campaign.Config{Seed: 1, Messages: 100_000, Faults: 1_000, Dir: dir}.Run(ctx)
//
// The relays run in two network namespaces (package wan), so that cuts, delay and loss hit
// packets; their stores lie each on a tmpfs, so that it can be full; their clock is that
// of package time of a binary of their own (Build), so that it can jump and everything in
// the relay sees it. It needs root and /dev/net/tun.
//
// The faults: kill -9, a cut, a cut in one direction, delay, loss, a full disk, a clock
// that jumps by a day and back, a restart with a new certificate, a new signing
// certificate while the relay runs. Up to two at once, each for up to two seconds;
// messages are sent all the while, in both directions, in many conversations, in all
// precedences and in sizes up to 60 kB, by clients that repeat what was not confirmed
// with the same id, as the command line does.
//
// At the end an older copy of one store is restored, as from a backup: both sides must
// name it, and what was delivered must be there again.
//
// It judges at each quarter, when all is delivered: of the messages that the relay
// confirmed each one is at the peer exactly once, byte for byte, with a verified receipt
// at its sender; within a conversation they arrived in the order in which they were sent;
// the serials have no gap on either side; no message is at the peer that the sender does
// not have; both journals verify.
//
// The same seed draws the same faults and messages, but not the same moments: those are
// of the machine.
package campaign
