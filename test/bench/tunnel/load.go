// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sync/errgroup"
)

// The server behind every pair of proxies reads nine bytes: what to do, and how
// much.
const (
	send byte = 's' // send so many bytes
	echo byte = 'e' // send back what arrives
)

const headerBytes = 9

// chunk is what the server writes at once.
const chunk = 256 << 10

// serve runs the server on a loopback address until the context ends.
func serve(ctx context.Context) (address string, err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listening for the server: %w", err)
	}
	context.AfterFunc(ctx, func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answer(conn)
		}
	}()
	return listener.Addr().String(), nil
}

func answer(conn net.Conn) {
	defer conn.Close()
	var header [headerBytes]byte
	if _, err := io.ReadFull(conn, header[:]); err != nil {
		return
	}
	if header[0] == echo {
		_, _ = io.Copy(conn, conn) // the client sees what is wrong
		return
	}
	block := make([]byte, chunk)
	for left := binary.BigEndian.Uint64(header[1:]); left > 0; {
		n := min(left, chunk)
		if _, err := conn.Write(block[:n]); err != nil {
			return
		}
		left -= n
	}
}

// call opens a connection through a pair and says what it wants.
func call(ctx context.Context, address string, what byte, bytes uint64) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connecting to the tunnel: %w", err)
	}
	var header [headerBytes]byte
	header[0] = what
	binary.BigEndian.PutUint64(header[1:], bytes)
	if _, err := conn.Write(header[:]); err != nil {
		conn.Close()
		return nil, fmt.Errorf("writing into the tunnel: %w", err)
	}
	return conn, nil
}

// bulk moves bytes over so many streams at once.
func bulk(ctx context.Context, address string, streams int, bytes uint64) error {
	group, ctx := errgroup.WithContext(ctx)
	each := bytes / uint64(streams)
	for range streams {
		group.Go(func() error {
			conn, err := call(ctx, address, send, each)
			if err != nil {
				return err
			}
			defer conn.Close()
			buffer := make([]byte, chunk)
			var got uint64
			for got < each {
				n, err := conn.Read(buffer)
				got += uint64(n)
				if err != nil {
					return fmt.Errorf("reading from the tunnel after %d of %d bytes: %w", got, each, err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// pings measures round trips of 64 bytes over one open connection, in microseconds.
func pings(ctx context.Context, address string, n int) ([]float64, error) {
	conn, err := call(ctx, address, echo, 0)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	var block [64]byte
	out := make([]float64, 0, n)
	for range n {
		begun := time.Now()
		if _, err := conn.Write(block[:]); err != nil {
			return nil, fmt.Errorf("writing into the tunnel: %w", err)
		}
		if _, err := io.ReadFull(conn, block[:]); err != nil {
			return nil, fmt.Errorf("reading from the tunnel: %w", err)
		}
		out = append(out, float64(time.Since(begun).Nanoseconds())/1000)
	}
	return out, nil
}

// connections opens and closes n connections, some at a time, each with one byte
// there and back.
func connections(ctx context.Context, address string, n, parallel int) error {
	group, ctx := errgroup.WithContext(ctx)
	for range parallel {
		group.Go(func() error {
			for range n / parallel {
				if err := visit(ctx, address); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func visit(ctx context.Context, address string) error {
	conn, err := call(ctx, address, echo, 0)
	if err != nil {
		return err
	}
	defer conn.Close()
	var b [1]byte
	if _, err := conn.Write(b[:]); err != nil {
		return fmt.Errorf("writing into the tunnel: %w", err)
	}
	if _, err := io.ReadFull(conn, b[:]); err != nil {
		return fmt.Errorf("reading from the tunnel: %w", err)
	}
	return nil
}

// crowd opens n connections, each proven by one byte, and keeps them open until
// the returned function is called.
func crowd(ctx context.Context, address string, n int) (release func(), err error) {
	open := make([]net.Conn, 0, n)
	release = func() {
		for _, c := range open {
			c.Close()
		}
	}
	for range n {
		conn, err := call(ctx, address, echo, 0)
		if err != nil {
			release()
			return nil, err
		}
		open = append(open, conn)
		var b [1]byte
		_, err = conn.Write(b[:])
		_, readErr := io.ReadFull(conn, b[:])
		if err := errors.Join(err, readErr); err != nil {
			release()
			return nil, fmt.Errorf("proving connection %d of %d: %w", len(open), n, err)
		}
	}
	return release, nil
}
