// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package socket opens and closes the local TCP connections of tunnels for less than
// package net does: with some two thirds of its system calls, and without a word to
// the scheduler.
//
// The latter matters more. A process that waits most of the time wakes a thread of
// the runtime (sysmon) for each system call of which the scheduler is told, and that
// one then looks after it every 20 microseconds for at least a millisecond. That was a
// fifth of the processor time of a short connection. None of the calls here waits:
// sockets do not block.
//
// Connections are plain TCP, never Multipath TCP, send small segments at once
// (TCP_NODELAY) and find out that the other end is gone while they are idle: after 15
// seconds, then up to 9 times every 15, as those of package net. On systems other than
// Linux, and on 386, where one system call stands for all of sockets, they are those of package net.
package socket
