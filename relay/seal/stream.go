// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"bufio"
	"crypto/hpke"
	"errors"
	"fmt"
	"io"
)

const (
	// streamMagic begins a sealed stream; its number is the version of the form.
	streamMagic  = "certlink-stream/1\n"
	streamHeader = len(streamMagic) + len(KeyID{}) + encapsulated
	// chunk is how much of a stream is sealed at once. All but the last are full.
	chunk = 64 << 10
)

var errClosed = errors.New("the stream is closed")

// What each chunk is bound to beside its place: whether it is the last one.
var notLast, last = []byte{0}, []byte{1}

// Writer seals a stream of any length with little memory.
type Writer struct {
	to      io.Writer
	sender  *hpke.Sender
	pending []byte
	written int64
	err     error
}

// NewWriter begins a stream for the holder of a key. Close ends it; a stream without its
// end does not open.
func NewWriter(to PublicKey, e Envelope, w io.Writer) (*Writer, error) {
	info, err := e.info()
	if err != nil {
		return nil, err
	}
	if to.key == nil {
		return nil, fmt.Errorf("sealing: %w", errKey)
	}
	enc, sender, err := hpke.NewSender(to.key, hpke.HKDFSHA256(), hpke.AES256GCM(), append([]byte(streamMagic), info...))
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	id := to.ID()
	for _, part := range [][]byte{[]byte(streamMagic), id[:], enc} {
		if _, err := w.Write(part); err != nil {
			return nil, err
		}
	}
	return &Writer{to: w, sender: sender, pending: make([]byte, 0, chunk)}, nil
}

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (n int, err error) {
	for len(p) > 0 && w.err == nil {
		if len(w.pending) == chunk {
			w.flush(notLast)
			continue
		}
		fits := min(len(p), chunk-len(w.pending))
		w.pending = append(w.pending, p[:fits]...)
		p, n = p[fits:], n+fits
		w.written += int64(fits)
	}
	return n, w.err
}

// Close pads the stream with zeros, so that its size tells little, and ends it. What is
// read ends with these zeros: content must itself say where it ends.
func (w *Writer) Close() error {
	const most = 1 << 46
	if w.written < most {
		zeros := make([]byte, 4<<10)
		for missing := int64(padded(int(w.written))) - w.written; missing > 0 && w.err == nil; {
			n, _ := w.Write(zeros[:min(missing, int64(len(zeros)))])
			missing -= int64(n)
		}
	}
	if w.err != nil {
		return w.err
	}
	w.flush(last)
	if w.err != nil {
		return w.err
	}
	w.err = errClosed
	return nil
}

func (w *Writer) flush(which []byte) {
	sealed, err := w.sender.Seal(which, w.pending)
	if err == nil {
		_, err = w.to.Write(sealed)
	}
	w.err, w.pending = err, w.pending[:0]
}

// Reader opens a stream.
type Reader struct {
	from  *bufio.Reader
	opens *hpke.Recipient
	buf   []byte // sealed
	left  []byte // opened and not read yet
	ended bool
	err   error
}

// NewReader begins to open a stream that was sealed to one of our keys. Errors, also of
// Read, wrap ErrMalformed, ErrNotForUs or ErrRefused, or are those of r. What was read
// before an error was sealed as it stands, but it is not all.
func NewReader(keys []PrivateKey, e Envelope, r io.Reader) (*Reader, error) {
	info, err := e.info()
	if err != nil {
		return nil, err
	}
	begin := make([]byte, streamHeader)
	switch _, err := io.ReadFull(r, begin); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("opening: it ends early: %w", ErrMalformed)
	case err != nil:
		return nil, err
	}
	if string(begin[:len(streamMagic)]) != streamMagic {
		return nil, fmt.Errorf("opening: %w", ErrMalformed)
	}
	id := KeyID(begin[len(streamMagic):])
	for _, k := range keys {
		if k.public.id != id {
			continue
		}
		enc := begin[len(streamMagic)+len(id):]
		opens, err := hpke.NewRecipient(enc, k.key, hpke.HKDFSHA256(), hpke.AES256GCM(), append([]byte(streamMagic), info...))
		if err != nil {
			return nil, fmt.Errorf("opening: %w", ErrRefused)
		}
		return &Reader{from: bufio.NewReaderSize(r, chunk+tag), opens: opens, buf: make([]byte, chunk+tag)}, nil
	}
	return nil, fmt.Errorf("opening: key %s: %w", id, ErrNotForUs)
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	for len(r.left) == 0 && r.err == nil {
		r.next()
	}
	if len(r.left) == 0 {
		return 0, r.err
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

// next opens one chunk.
func (r *Reader) next() {
	if r.ended {
		r.err = io.EOF
		return
	}
	n, err := io.ReadFull(r.from, r.buf)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		r.err = err
		return
	}
	which := notLast
	if _, more := r.from.Peek(1); n < len(r.buf) || errors.Is(more, io.EOF) {
		which, r.ended = last, true
	}
	if n < tag {
		r.err = fmt.Errorf("opening: it ends early: %w", ErrMalformed)
		return
	}
	content, err := r.opens.Open(which, r.buf[:n])
	if err != nil {
		r.err = fmt.Errorf("opening: it was changed, or is not all there: %w", ErrRefused)
		return
	}
	r.left = content
}

// StreamKeyBytes is how much of a stream KeyOfStream needs.
const StreamKeyBytes = len(streamMagic) + len(KeyID{})

// KeyOfStream tells to which key a stream is sealed.
func KeyOfStream(begin []byte) (KeyID, bool) {
	if len(begin) < StreamKeyBytes || string(begin[:len(streamMagic)]) != streamMagic {
		return KeyID{}, false
	}
	return KeyID(begin[len(streamMagic):StreamKeyBytes]), true
}
