// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package sqlite

import "golang.org/x/sys/unix"

// datasync brings to the disk what is needed to read the file again (fdatasync(2)).
func datasync(fd uintptr) error { return unix.Fdatasync(int(fd)) } //nolint:gosec // a file descriptor
