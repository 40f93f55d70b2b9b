// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"unsafe"
)

// A connection of package tls keeps its largest buffers for ever: some 6 KiB that the
// handshake has needed, or 36 KiB after bulk. With a thousand connections at rest that is more than all
// else that they hold, and nothing in the interface of the package gives it back. So
// the three fields are set back to zero here, as they are in a new connection, if all
// of them are empty. Where the package has other fields, nothing is done.

// buffers are the offsets of what tls.Conn reads into; known tells that they are
// what we think they are.
var buffers = findBuffers()

type bufferOffsets struct {
	known                 bool
	rawInput, input, hand uintptr
}

func findBuffers() bufferOffsets {
	conn := reflect.TypeFor[tls.Conn]()
	at := func(name string, of reflect.Type) (uintptr, bool) {
		f, ok := conn.FieldByName(name)
		return f.Offset, ok && f.Type == of
	}
	rawInput, ok1 := at("rawInput", reflect.TypeFor[bytes.Buffer]())
	input, ok2 := at("input", reflect.TypeFor[bytes.Reader]())
	hand, ok3 := at("hand", reflect.TypeFor[bytes.Buffer]())
	return bufferOffsets{known: ok1 && ok2 && ok3, rawInput: rawInput, input: input, hand: hand}
}

// shed gives back the empty buffers of a TLS connection. Only who has the reading may
// call it: who writes does not use them.
func shed(c *tls.Conn) {
	if c == nil || !buffers.known {
		return
	}
	base := unsafe.Pointer(c)
	rawInput := (*bytes.Buffer)(unsafe.Add(base, buffers.rawInput)) //nolint:gosec // findBuffers has checked the type
	input := (*bytes.Reader)(unsafe.Add(base, buffers.input))       //nolint:gosec // likewise
	hand := (*bytes.Buffer)(unsafe.Add(base, buffers.hand))         //nolint:gosec // likewise
	if rawInput.Len() > 0 || input.Len() > 0 || hand.Len() > 0 {
		return
	}
	*rawInput, *input, *hand = bytes.Buffer{}, bytes.Reader{}, bytes.Buffer{}
}

// tlsOf finds the TLS connection in a connection, or nil.
func tlsOf(conn any) *tls.Conn {
	switch c := conn.(type) {
	case *tls.Conn:
		return c
	case interface{ TLS() *tls.Conn }:
		return c.TLS()
	}
	return nil
}
