// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package gate

import (
	"syscall"
	"time"
)

// SetUserTimeout does nothing where the kernel has no such setting; keep-alive
// and the deadlines of requests remain.
func SetUserTimeout(syscall.RawConn) error { return nil }

// ClearUserTimeout does nothing, as SetUserTimeout.
func ClearUserTimeout(syscall.RawConn) error { return nil }

// Unacknowledged does not know, and so says that nothing waits.
func Unacknowledged(syscall.RawConn) (waiting bool, since time.Duration) { return false, 0 }
