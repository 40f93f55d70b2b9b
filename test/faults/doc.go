// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package faults breaks real relay processes on loopback in every way that the
// promises speak of, and looks at what is left: kill -9 between any two steps, a
// full disk, wrong trust, and strangers who send too much or too slowly.
//
// It has tests only. They need no Kubernetes; the full disk needs root, to mount
// a small tmpfs.
package faults
