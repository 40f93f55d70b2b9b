// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"fmt"
	"net"
	"time"
)

// UserTimeout is how long sent bytes may stay unacknowledged before the kernel
// ends a connection, where it can (TCP_USER_TIMEOUT). Without it, a cut path
// holds a connection for a quarter of an hour.
const UserTimeout = 10 * time.Second

// KeepAlive finds idle connections whose other end is gone.
var KeepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}

// tune sets what every TCP connection of ours has.
func tune(conn net.Conn) error {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	if err := tcp.SetKeepAliveConfig(KeepAlive); err != nil {
		return fmt.Errorf("setting keep-alive: %w", err)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return fmt.Errorf("reaching the socket: %w", err)
	}
	return SetUserTimeout(raw)
}
