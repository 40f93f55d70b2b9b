// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream

// HasRoom tells whether the socket takes a small write at once.
func (c *Conn) HasRoom() bool { return hasRoom(c.wire.raw) }
