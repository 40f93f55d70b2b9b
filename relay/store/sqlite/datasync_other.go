// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package sqlite

import "golang.org/x/sys/unix"

// datasync is fsync(2): not every system has less.
func datasync(fd uintptr) error { return unix.Fsync(int(fd)) } //nolint:gosec // a file descriptor
