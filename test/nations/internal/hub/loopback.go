// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/certlink/certlink/test/wan/netns"
)

const (
	apiServer   = "127.0.0.1:6443"
	dialTimeout = 10 * time.Second
	// maxOpen bounds the connections that one door carries at a time.
	maxOpen = 1024
)

var loopback = net.IPv4(127, 0, 0, 1)

// door is a port on the machine's loopback that leads to one nation's API server.
type door struct {
	listener net.Listener
	init     int
	port     int
}

// openDoor listens at the wanted port, or at any if that is taken.
func openDoor(wanted, init int) (*door, error) {
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: loopback, Port: wanted})
	if err != nil {
		listener, err = net.ListenTCP("tcp4", &net.TCPAddr{IP: loopback})
	}
	if err != nil {
		return nil, fmt.Errorf("opening a port on loopback: %w", err)
	}
	address, err := netip.ParseAddrPort(listener.Addr().String())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading the port on loopback: %w", err), listener.Close())
	}
	d := &door{listener: listener, init: init, port: int(address.Port())}
	go d.accept()
	return d, nil
}

func (d *door) accept() {
	slots := make(chan struct{}, maxOpen)
	for {
		client, err := d.listener.Accept()
		if err != nil {
			return
		}
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			d.carry(client)
		}()
	}
}

func (d *door) carry(client net.Conn) {
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	server, err := netns.Dial(ctx, d.init, apiServer)
	cancel()
	if err != nil {
		// The client sees its connection closed, as by a server that is down.
		return
	}
	defer server.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		copyHalf(server, client)
	}()
	copyHalf(client, server)
	<-done
}

// copyHalf copies one way and passes the end of the stream on.
func copyHalf(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if err != nil {
		_ = to.Close()
		_ = from.Close()
		return
	}
	if half, ok := to.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
}
