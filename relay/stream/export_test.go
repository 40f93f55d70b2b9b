// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"unsafe"
)

// BuffersKnown tells whether the buffers of package tls are those that we know.
func BuffersKnown() bool { return buffers.known }

// Held is how many bytes of buffers TLS holds for a connection on which nothing arrives.
func (c *Conn) Held() int {
	base := unsafe.Pointer(c.tls)
	return (*bytes.Buffer)(unsafe.Add(base, buffers.rawInput)).Cap() + (*bytes.Buffer)(unsafe.Add(base, buffers.hand)).Cap()
}
