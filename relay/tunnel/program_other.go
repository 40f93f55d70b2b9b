// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package tunnel

// unmapProgram is of Linux only.
func unmapProgram() error { return nil }
