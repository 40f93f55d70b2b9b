// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"net"
	"time"
)

// keepAlive is the default of package net.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 9}

// Reset closes a connection so that the other end sees a failure, not an end.
func Reset(conn net.Conn) {
	if c, ok := conn.(interface{ SetLinger(sec int) error }); ok {
		_ = c.SetLinger(0) // one that is closed already has ended otherwise
	}
	_ = conn.Close()
}

// dialer is that of package net. It tries all addresses of a name (RFC 6555).
func dialer() *net.Dialer {
	d := &net.Dialer{KeepAliveConfig: keepAlive}
	d.SetMultipathTCP(false)
	return d
}
