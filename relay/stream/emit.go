// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream

// emitKind writes a frame without payload. The caller holds wmu.
func (c *Conn) emitKind(k kind) error {
	buf := getFrame()
	putHeader(buf[:], k, 0)
	return c.emit(buf, buf[:headerSize])
}

// smallWrite is what leaves in one record even at the beginning of a connection.
const smallWrite = 1 << 10

// Writes changes with each write of frames, and is odd while one is under way: as long
// as it is even and the same, nothing was sent.
func (c *Conn) Writes() uint64 { return c.writes.Load() }

// emit writes whole frames, which stand in buf, in one system call, and gives the buffer back as soon as they are
// sealed: while the other side takes nothing, one buffer is held, not two. The caller holds wmu.
func (c *Conn) emit(buf *frameBuffer, b []byte) error {
	if len(b) == 0 {
		putFrame(buf)
		return nil
	}
	c.writes.Add(1)
	defer c.writes.Add(1)
	if c.wire == nil || len(b) <= smallWrite {
		_, err := c.conn.Write(b)
		putFrame(buf)
		return err
	}
	c.wire.Hold()
	_, err := c.conn.Write(b)
	putFrame(buf)
	if flushErr := c.wire.Flush(); err == nil {
		err = flushErr
	}
	return err
}
