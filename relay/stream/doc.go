// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package stream carries one stream of bytes at a time over an authenticated
// connection that is kept and used again: a new stream costs no handshake and
// no round trip of its own.
//
// After the handshake the side that dialled sends HELLO, then the connection is
// parked. Either side may open a stream on it; when both directions of the
// stream have ended the connection is parked again. A frame is one byte of kind,
// three bytes of length and the payload:
//
//	HELLO   first frame of the side that dialled; JSON of at most 1 KiB
//	OPEN    begins a stream; DATA may follow at once
//	ACCEPT  answers OPEN, at the latest with the first frame of the answer
//	DATA    carries 1 to 65532 bytes
//	END     the sender sends no more on this stream
//	ABORT   the stream failed, or, before ACCEPT, was not taken; the connection ends
//	RENEW   to the side that dialled, at any time, if its HELLO says that it understands
//	        it: dial once more, and end this connection when the other is there
//
// When both sides send OPEN at once the side that dialled wins: it ignores what
// comes before the ACCEPT of its own OPEN, and the stream of the other side fails
// with ErrGlare. A stream whose OPEN has not left yet always yields. Of a stream
// that fails with ErrGlare or ErrRefused nothing reached the handler of the other
// side, so it may be tried again on another connection, whatever it carried.
//
// It promises: everything from the other side is bounded and checked against the
// state, and a violation closes the connection with an error that names it; the
// flow is that of TCP, so a reader that does not read stops the sender, and at
// most one buffer of 64 KiB for each direction waits here; a parked connection
// and an idle stream hold no buffer, and neither does TLS for a parked connection or a
// stream that was Drained.
//
// It does not authenticate (TLS below it does), does not choose connections
// (package link does) and does not repeat anything.
package stream
