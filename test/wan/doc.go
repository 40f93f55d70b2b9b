// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package wan joins network namespaces on this machine by a path in user space that can be cut, delayed and made lossy
// between any two addresses, in each direction apart. It is what test/nations has between its clusters, without the
// clusters: for tests and benchmarks of relays that meet a bad network. It needs root and the program ip.
//
//	net, err := wan.New(ctx, "alfa", "bravo")
//	defer net.Close()
//	alfa, bravo := net.Host("alfa"), net.Host("bravo")
//	listener, err := bravo.Listen(ctx, "tcp", bravo.Address(1).String()+":8443")
//	err = alfa.Start(exec.CommandContext(ctx, "relay", "--config", file)) // killed by its Process, or by Close
//	net.Cut(wan.OneWay(alfa, bravo, bravo.Address(1))...)
//
// Each host has several addresses (Config.Addresses, default 4), all on one device. A packet that a host sends carries
// its first address unless the sender binds another, so a path is told apart by the address that is dialled:
// Between(alfa, bravo, bravo.Address(1)) is all that goes from any address of alfa to that one, and back. What a host
// sends to an address of its own never leaves it and cannot be cut. An address that nobody has is answered with ICMP
// "host unreachable" at once.
//
// What happens to packets, also to those under way, is exactly what package pipe says: a cut drops them, a changed delay
// and a loss concern only later ones. A packet counts as sent when it is taken from the sender's device: microseconds
// after the sender's system call, later on a busy machine. So nothing that is sent after Cut has returned arrives while
// the cut lasts; but what is sent in the last moment before Restore may. Counts tells what was taken.
//
// The losses are drawn from Config.Seed and the two addresses: with the same seed the same packets of a way are lost,
// counted from the call of Loss. (TCP does not send the same packets twice, so whole runs are alike, not equal.)
//
// Close ends every process that was started inside and takes all down; when the program itself is killed, the kernel
// does the same.
package wan
