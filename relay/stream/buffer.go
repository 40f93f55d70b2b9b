// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream

import "sync"

// prefixSize is the room for an OPEN or ACCEPT before a DATA frame, and tailSize
// that for an END after it, so that they leave in the same write.
const (
	prefixSize = headerSize
	dataAt     = prefixSize + headerSize
	tailSize   = headerSize
)

// frameBuffer holds one DATA frame with its neighbours.
type frameBuffer [prefixSize + maxFrame + tailSize]byte

// fullData is how many bytes we send in one frame at most. The frame, sealed, fits into what a
// TCP sends at once: 45 segments of 1448 bytes, or one on loopback. A frame of MaxData would send a runt after
// each, which costs the kernels of both sides a tenth of their work.
const fullData = 64<<10 - 512

// payload is where the data goes.
func (b *frameBuffer) payload() []byte { return b[dataAt : dataAt+fullData] }

// wireSize is a whole frame, sealed: records add 22 bytes each, and the first
// records of a connection are small ones.
const wireSize = maxFrame + maxFrame/16

type wireBuffer struct{ b []byte }

var (
	frames = sync.Pool{New: func() any { return new(frameBuffer) }}
	wires  = sync.Pool{New: func() any { return &wireBuffer{b: make([]byte, 0, wireSize)} }}
)

func getFrame() *frameBuffer  { return frames.Get().(*frameBuffer) } //nolint:errcheck // nothing else is put there
func putFrame(b *frameBuffer) { frames.Put(b) }

func getWire() *wireBuffer { return wires.Get().(*wireBuffer) } //nolint:errcheck // nothing else is put there

func putWire(w *wireBuffer) {
	w.b = w.b[:0]
	wires.Put(w)
}

// lay completes the frames around a payload of n bytes.
func lay(buf *frameBuffer, prefix kind, n int, end bool) []byte {
	from, to := prefixSize, prefixSize
	if n > 0 {
		putHeader(buf[to:], kindData, n)
		to = dataAt + n
	}
	if prefix != 0 {
		from = 0
		putHeader(buf[:], prefix, 0)
	}
	if end {
		putHeader(buf[to:], kindEnd, 0)
		to += headerSize
	}
	return buf[from:to]
}
