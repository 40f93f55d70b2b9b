// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/certlink/certlink/internal/relayclient"
	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/test/bench/figures"
	"github.com/certlink/certlink/test/bench/relays"
)

const (
	// pingEvery is the time between two round trips of a tunnel.
	pingEvery = 10 * time.Millisecond
	// sendEvery is the time between two messages of a side.
	sendEvery = 20 * time.Millisecond
)

// load runs beside the rotations.
type load struct {
	nations *nations
	stop    context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex // guards what follows
	sent    map[string][]string
	broken  int
	pauses  []float64 // the longest of each tunnel, ms
	failure error
}

// begin opens the tunnels and starts the senders.
func begin(ctx context.Context, n *nations) (*load, error) {
	ctx, stop := context.WithCancel(ctx)
	l := &load{nations: n, stop: stop, sent: map[string][]string{}}
	for range tunnels {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", n.service)
		if err != nil {
			stop()
			return nil, fmt.Errorf("opening a tunnel: %w", err)
		}
		l.running.Go(func() { l.keep(ctx, conn) })
	}
	l.running.Go(func() { l.write(ctx, n.alfa, "bravo") })
	l.running.Go(func() { l.write(ctx, n.bravo, "alfa") })
	wait(ctx)
	return l, nil
}

// keep sends a byte there and back over one connection for as long as the load
// runs, and notes the longest round trip or that it broke.
func (l *load) keep(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	var longest time.Duration
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.pauses = append(l.pauses, float64(longest.Microseconds())/1000)
	}()
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	b := []byte{0}
	for {
		begun := time.Now()
		_, err := conn.Write(b)
		_, readErr := io.ReadFull(conn, b)
		if errors.Join(err, readErr) != nil {
			l.mu.Lock()
			l.broken++
			l.mu.Unlock()
			return
		}
		longest = max(longest, time.Since(begun))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// write sends messages for as long as the load runs. The desk's certificate
// changes too, so a request may have to be repeated, with the same id.
func (l *load) write(ctx context.Context, n *relays.Nation, hotline string) {
	tick := time.NewTicker(sendEvery)
	defer tick.Stop()
	for {
		request := desk.SendRequest{ID: ulid.Make().String(), Hotline: hotline, Subject: "load", Text: "load", Officer: "bench"}
		if err := send(n, request); err != nil {
			l.mu.Lock()
			l.failure = errors.Join(l.failure, err)
			l.mu.Unlock()
			return
		}
		l.mu.Lock()
		l.sent[n.Name] = append(l.sent[n.Name], request.ID)
		l.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func send(n *relays.Nation, request desk.SendRequest) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		_, err := n.Desk().Send(ctx, request)
		if err == nil || ctx.Err() != nil {
			return err
		}
		<-again.C
	}
}

// end stops the load and waits until what was sent has been receipted.
func (l *load) end(ctx context.Context) error {
	l.stop()
	l.running.Wait()
	if l.failure != nil {
		return fmt.Errorf("sending under load: %w", l.failure)
	}
	for _, n := range []*relays.Nation{l.nations.alfa, l.nations.bravo} {
		if err := drained(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// drained waits until every message has its receipt.
func drained(ctx context.Context, n *relays.Nation) error {
	return n.Until(ctx, "has all receipts", func(r report.Report) bool {
		for _, h := range r.Hotlines {
			if h.Queued > 0 {
				return false
			}
		}
		return true
	})
}

// lost counts the messages that the other side does not have, and those that it
// has more than once.
func (l *load) lost(ctx context.Context) (lost, doubled int, err error) {
	for _, way := range []struct{ from, to *relays.Nation }{{l.nations.alfa, l.nations.bravo}, {l.nations.bravo, l.nations.alfa}} {
		got, err := inbox(ctx, way.to)
		if err != nil {
			return 0, 0, err
		}
		for _, id := range l.sent[way.from.Name] {
			switch got[id] {
			case 0:
				lost++
			case 1:
			default:
				doubled++
			}
		}
	}
	return lost, doubled, nil
}

func inbox(ctx context.Context, n *relays.Nation) (map[string]int, error) {
	got := map[string]int{}
	selection := relayclient.Selection{Direction: relayclient.In, Limit: 200}
	for {
		page, err := n.Desk().List(ctx, selection)
		if err != nil {
			return nil, err
		}
		for _, m := range page.Messages {
			got[m.ID]++
		}
		if page.Next == 0 || page.Next == selection.Before {
			return got, nil
		}
		selection.Before = page.Next
	}
}

func (l *load) figures(durations []float64, lost, doubled int) *figures.Set {
	var s figures.Set
	messages := len(l.sent["alfa"]) + len(l.sent["bravo"])
	s.AddValue("rotate.lost_messages", "messages", "0", float64(lost), messages)
	s.AddValue("rotate.doubled_messages", "messages", "0", float64(doubled), messages)
	s.AddValue("rotate.broken_tunnels", "tunnels", "0", float64(l.broken), tunnels)
	s.AddQuantile("rotate.longest_pause_ms", "ms", "", l.pauses, 1)
	s.Add("rotate.root_seconds", "s", "", durations)
	return &s
}

// echo runs the server behind the tunnels.
func echo(ctx context.Context) (string, error) {
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
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn) // the client sees what is wrong
			}()
		}
	}()
	return listener.Addr().String(), nil
}
