// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package stream

import "errors"

// Without the sockets of Unix nothing is read eagerly.

const canReadFD = false

func (w *wire) readNow([]byte) (int, error) { return 0, wouldBlockError{} }

func (w *wire) readOnce(uintptr) bool { return true }

func (w *wire) wait(func() bool) error { return errors.ErrUnsupported }

func (w *wire) readUntil(uintptr) bool { return true }

func readFD(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

func readError(err error) error { return err }

func writeFD(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

func writeError(err error) error { return err }

func readable(uintptr) bool { return true }
