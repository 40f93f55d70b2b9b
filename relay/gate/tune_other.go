// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package gate

import "syscall"

// SetUserTimeout does nothing where the kernel has no such setting; keep-alive
// and the deadlines of requests remain.
func SetUserTimeout(syscall.RawConn) error { return nil }
