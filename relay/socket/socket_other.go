// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux || 386

package socket

import (
	"context"
	"net"
	"time"
)

// Listen listens on HOST:PORT.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAliveConfig: keepAlive}
	lc.SetMultipathTCP(false)
	return lc.Listen(ctx, "tcp", address)
}

// Dial connects to HOST:PORT within a time.
func Dial(ctx context.Context, address string, within time.Duration) (net.Conn, error) {
	d := dialer()
	d.Timeout = within
	return d.DialContext(ctx, "tcp", address)
}
