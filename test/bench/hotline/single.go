// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/store"
)

const (
	bravoDomain, alfaDomain = "bravo.example", "alfa.example"
	// textBytes of a message.
	textBytes = 1024
)

// request is a message of 1 KiB of text, in a conversation of its own.
func request(precedence string) desk.SendRequest {
	return desk.SendRequest{
		ID: ulid.Make().String(), Hotline: "bravo", Subject: "Load", Officer: "Bench", Precedence: precedence,
		Text: strings.Repeat("0123456789abcde\n", textBytes/16),
	}
}

// stages of messages that are sent one at a time, in milliseconds since the call of Send.
type stages struct{ here, there, done []float64 }

// one sends a message and notes when it was stored here, stored there, and when its
// verified receipt was stored here.
func (w *world) one(ctx context.Context, s *stages) error {
	r := request("IMMEDIATE")
	arrival, answer := w.bravo.store.watch(r.ID), w.alfa.store.watch(r.ID)
	begun := time.Now()
	if _, _, err := w.alfa.engine.Send(ctx, r); err != nil {
		return err
	}
	here := time.Now()
	// The receipt comes last: until it is stored nothing is looked for.
	done, err := w.alfa.store.stored(ctx, answer, store.Out, bravoDomain)
	if err != nil {
		return fmt.Errorf("waiting for the receipt of message %s: %w", r.ID, err)
	}
	there, err := w.bravo.store.stored(ctx, arrival, store.In, alfaDomain)
	if err != nil {
		return fmt.Errorf("waiting for message %s at the peer: %w", r.ID, err)
	}
	since := func(at time.Time) float64 { return float64(at.Sub(begun).Nanoseconds()) / 1e6 }
	s.here, s.there, s.done = append(s.here, since(here)), append(s.there, since(there)), append(s.done, since(done))
	return nil
}

// disk is a file on the file system of the stores, to which 4 KiB are appended and synced.
type disk struct{ file *os.File }

func newDisk(dir string) (*disk, error) {
	file, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return nil, fmt.Errorf("making a file: %w", err)
	}
	return &disk{file}, nil
}

// sync returns the milliseconds of one write and its fdatasync.
func (d *disk) sync() (float64, error) {
	begun := time.Now()
	if _, err := d.file.Write(make([]byte, 4096)); err != nil {
		return 0, fmt.Errorf("writing: %w", err)
	}
	if err := syscall.Fdatasync(int(d.file.Fd())); err != nil {
		return 0, fmt.Errorf("syncing: %w", err)
	}
	return float64(time.Since(begun).Nanoseconds()) / 1e6, nil
}

// echo is a TCP connection over loopback whose other end returns what it gets.
type echo struct{ conn net.Conn }

func newEcho(ctx context.Context) (*echo, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	go func() {
		defer l.Close() // not before it has accepted: what waits for that would be reset
		far, err := l.Accept()
		if err != nil {
			return
		}
		defer far.Close()
		buffer := make([]byte, textBytes)
		for {
			n, err := far.Read(buffer)
			if err != nil {
				return
			}
			if _, err := far.Write(buffer[:n]); err != nil {
				return
			}
		}
	}()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("dialling the echo: %w", err), l.Close())
	}
	return &echo{conn}, nil
}

// trip returns the milliseconds of a kilobyte there and back.
func (e *echo) trip() (float64, error) {
	begun, buffer := time.Now(), make([]byte, textBytes)
	if _, err := e.conn.Write(buffer); err != nil {
		return 0, fmt.Errorf("writing: %w", err)
	}
	for got := 0; got < textBytes; {
		n, err := e.conn.Read(buffer)
		if err != nil {
			return 0, fmt.Errorf("reading: %w", err)
		}
		got += n
	}
	return float64(time.Since(begun).Nanoseconds()) / 1e6, nil
}
