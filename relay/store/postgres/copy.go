// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
)

// copyChunk is about how much is sent at once.
const copyChunk = 64 << 10

// copyIn sends rows to a COPY … FROM STDIN BINARY. next writes one row, or
// returns false when there is none. At most one chunk and one row are in memory.
func copyIn(ctx context.Context, tx pgx.Tx, statement string, next func(w *copyWriter) bool) error {
	r := &copyReader{next: next}
	r.w.buf = append(make([]byte, 0, copyChunk+8<<10), "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	_, err := tx.Conn().PgConn().CopyFrom(ctx, r, statement)
	return err
}

// copyReader is the stream of a COPY, made while it is read.
type copyReader struct {
	w    copyWriter
	next func(w *copyWriter) bool
	// from is the first byte of the buffer that was not read; done that the end is written.
	from int
	done bool
}

// Read implements io.Reader.
func (r *copyReader) Read(p []byte) (int, error) {
	if r.from == len(r.w.buf) && r.done {
		return 0, io.EOF
	}
	if r.from == len(r.w.buf) {
		r.w.buf, r.from = r.w.buf[:0], 0
	}
	for !r.done && len(r.w.buf)-r.from < copyChunk {
		if !r.next(&r.w) {
			r.w.buf = append(r.w.buf, 0xff, 0xff)
			r.done = true
		}
	}
	if r.w.err != nil {
		return 0, r.w.err
	}
	n := copy(p, r.w.buf[r.from:])
	r.from += n
	return n, nil
}

// copyWriter writes rows in the binary format of COPY: a number of columns, and
// each with its length, all in network order.
type copyWriter struct {
	buf []byte
	err error
}

func (w *copyWriter) row(columns uint16) { w.buf = binary.BigEndian.AppendUint16(w.buf, columns) }

func (w *copyWriter) int64(v int64) {
	w.buf = binary.BigEndian.AppendUint32(w.buf, 8)
	w.buf = binary.BigEndian.AppendUint64(w.buf, uint64(v)) //nolint:gosec // the same bits
}

func (w *copyWriter) int32(v int32) {
	w.buf = binary.BigEndian.AppendUint32(w.buf, 4)
	w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(v)) //nolint:gosec // the same bits
}

func (w *copyWriter) bool(v bool) {
	w.buf = append(w.buf, 0, 0, 0, 1, 0)
	if v {
		w.buf[len(w.buf)-1] = 1
	}
}

func (w *copyWriter) text(v string) {
	w.length(len(v))
	w.buf = append(w.buf, v...)
}

func (w *copyWriter) bytes(v []byte) {
	w.length(len(v))
	w.buf = append(w.buf, v...)
}

// largestField is what PostgreSQL takes in one column.
const largestField = 1 << 30

func (w *copyWriter) length(n int) {
	if n >= largestField && w.err == nil {
		w.err = fmt.Errorf("a field of %d bytes is too large", n)
	}
	w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(n)) //nolint:gosec // checked
}
