// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package stream

import "syscall"

// Elsewhere END has the time that a close waits.

func hasRoom(syscall.RawConn) bool { return true }

func acknowledged(syscall.RawConn) uint64 { return 0 }
