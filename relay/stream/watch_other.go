// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package stream

import (
	"errors"
	"syscall"
)

// Watch is there for Linux only; elsewhere a goroutine waits on each connection.
type Watch struct{}

// NewWatch fails: there is none.
func NewWatch() (*Watch, error) { return nil, errors.ErrUnsupported }

// Run does nothing.
func (w *Watch) Run() error { return nil }

// Close does nothing.
func (w *Watch) Close() {}

// Remove is always too late.
func (w *Watch) Remove(Bed) bool { return false }

func (w *Watch) add(syscall.RawConn, Sleeper) (Bed, error) { return 0, errors.ErrUnsupported }
