// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package stream

// Renew asks the side that dialled to dial once more, and to end this connection when
// the other is there. It does not wait. It returns false, and has done nothing, if the other
// side does not understand that, or if this side dialled.
func (c *Conn) Renew() bool {
	if c.dialed || !c.hello.Renews {
		return false
	}
	go func() {
		c.wmu.Lock()
		defer c.wmu.Unlock()
		_ = c.emitKind(kindRenew) // who reads sees that a connection has ended
	}()
	return true
}

// renew passes on that the other side asks for another connection, once: it may ask as often as the line carries, and
// who is told looks at what all connections share.
func (c *Conn) renew() {
	if c.renewed || c.cfg.Renew == nil {
		return
	}
	c.renewed = true
	c.cfg.Renew(c)
}
