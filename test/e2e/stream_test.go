// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/certlink/certlink/test/scenario"
)

// stream is a connection from a node of one CERT through its imported service to
// the other's echo, on which numbered lines go round.
type stream struct {
	at, of *scenario.Party
	conn   net.Conn
	number int
	// mended counts the times that it was opened anew.
	mended atomic.Int64
	// broken, pause and wrong are read when run has returned.
	broken int
	pause  time.Duration
	wrong  string
}

// echoOf is the name of the import through which a CERT finds another's echo.
func echoOf(p *scenario.Party) string { return p.Name + "s-echo" }

// clusterAddress is where a Service is found inside its cluster, without names.
func clusterAddress(ctx context.Context, p *scenario.Party, service string) (string, error) {
	var found corev1.Service
	if err := p.Client.Get(ctx, p.Key(service), &found); err != nil {
		return "", fmt.Errorf("reading Service %q in %s: %w", service, p.Name, err)
	}
	return net.JoinHostPort(found.Spec.ClusterIP, fmt.Sprint(found.Spec.Ports[0].Port)), nil
}

// dialService connects to a Service from the node of a nation.
func dialService(ctx context.Context, p *scenario.Party, service string) (net.Conn, error) {
	address, err := clusterAddress(ctx, p, service)
	if err != nil {
		return nil, err
	}
	return p.Harness.DialContext(ctx, "tcp", address)
}

// open connects until a line has gone round.
func (s *stream) open(ctx context.Context) error {
	return scenario.Poll(ctx, s.of.Name+"'s echo answers in "+s.at.Name, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		conn, err := dialService(ctx, s.at, echoOf(s.of))
		if err != nil {
			return err
		}
		s.conn = conn
		if err := s.round(bufio.NewReader(conn), 5*time.Second); err != nil {
			conn.Close()
			return err
		}
		return nil
	})
}

// round sends the next line and reads it back.
func (s *stream) round(back *bufio.Reader, limit time.Duration) error {
	s.number++
	sent := fmt.Sprintf("%d%s\n", s.number, strings.Repeat(".", s.number%1000))
	if err := s.conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	if _, err := s.conn.Write([]byte(sent)); err != nil {
		return err
	}
	got, err := back.ReadString('\n')
	if err != nil {
		return err
	}
	if got != sent {
		s.wrong = fmt.Sprintf("sent %q and got %q back", sent, got)
	}
	return nil
}

// run sends lines until ctx ends; a stream that breaks is opened anew.
func (s *stream) run(ctx context.Context) {
	defer func() { s.conn.Close() }()
	back := bufio.NewReader(s.conn)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	last := time.Now()
	for {
		// Longer than any pause that a test allows, so that a pause is not a break.
		err := s.round(back, 20*time.Second)
		if err != nil && ctx.Err() == nil {
			s.broken++
			s.conn.Close()
			if s.open(ctx) != nil {
				return
			}
			back = bufio.NewReader(s.conn)
			s.mended.Add(1)
		}
		s.pause = max(s.pause, time.Since(last))
		last = time.Now()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
