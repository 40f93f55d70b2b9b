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
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/certlink/certlink/internal/relayclient"
	wire "github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/test/scenario"
)

// traffic is what goes on between the two CERTs while something else happens:
// hotline messages in both directions, and a byte stream through a service of
// each. What was sent is looked at when it ends.
type traffic struct {
	t       *testing.T
	cancel  context.CancelFunc
	tasks   sync.WaitGroup
	streams []*stream

	mu    sync.Mutex // guards the rest
	desks map[*scenario.Party]*relayclient.Client
	sent  map[*scenario.Party][]string
}

// pace of the messages of each side.
const pace = 300 * time.Millisecond

// goOn starts traffic. It ends with the test, or with end.
func goOn(t *testing.T) *traffic {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	tr := &traffic{t: t, cancel: cancel, desks: map[*scenario.Party]*relayclient.Client{}, sent: map[*scenario.Party][]string{}}
	t.Cleanup(func() {
		cancel()
		tr.tasks.Wait()
		for _, client := range tr.desks {
			if client != nil {
				client.Close()
			}
		}
	})
	for _, pair := range [][2]*scenario.Party{{alfa, bravo}, {bravo, alfa}} {
		p, other := pair[0], pair[1]
		tr.tasks.Go(func() { tr.messages(ctx, p, other) })
		if p.Harness == nil {
			continue
		}
		s := &stream{at: p, of: other}
		must(t, s.open(within(t, patience)))
		tr.streams = append(tr.streams, s)
		tr.tasks.Go(func() { s.run(ctx) })
	}
	return tr
}

// dial is a way to a relay's local port, past the API server if there is one.
func dial(ctx context.Context, p *scenario.Party) (relayclient.DialFunc, error) {
	if p.Harness != nil {
		return p.Direct(ctx)
	}
	way, _, err := p.Forward(scenario.LocalPort)
	return way, err
}

// ask asks the relay of p. The client is kept until it fails: the relay may have
// been restarted, or our root replaced.
func (tr *traffic) ask(ctx context.Context, p *scenario.Party, question func(*relayclient.Client) error) error {
	tr.mu.Lock()
	client := tr.desks[p]
	tr.mu.Unlock()
	if client == nil {
		way, err := dial(ctx, p)
		if err != nil {
			return err
		}
		if client, err = p.Desk(ctx, way); err != nil {
			return err
		}
	}
	err := question(client)
	if err != nil {
		client.Close()
		client = nil
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.desks[p] = client
	return err
}

func (tr *traffic) messages(ctx context.Context, p, other *scenario.Party) {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for {
		id := ulid.Make().String()
		// A relay that is away does not take it: the same message is given to it again.
		err := scenario.Poll(ctx, "message "+id+" is stored", func(ctx context.Context) error {
			return tr.ask(ctx, p, func(c *relayclient.Client) error {
				_, err := c.Send(ctx, wire.SendRequest{Hotline: other.Name, ID: id, Subject: "traffic", Text: "t", Officer: "e2e", Precedence: "IMMEDIATE"})
				return err
			})
		})
		if err == nil {
			tr.mu.Lock()
			tr.sent[p] = append(tr.sent[p], id)
			tr.mu.Unlock()
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// outcome is what became of the traffic.
type outcome struct {
	// broken is how often a byte stream ended that nobody had closed.
	broken int
	// pause is the longest time in which a byte stream stood still.
	pause time.Duration
}

// end stops sending, and checks that every message has its receipt, was received
// once and in a row without gaps.
func (tr *traffic) end() (o outcome) {
	tr.t.Helper()
	tr.cancel()
	tr.tasks.Wait()
	ctx := within(tr.t, time.Minute)
	err := both(ctx, func(ctx context.Context, p, other *scenario.Party) error {
		return scenario.Poll(ctx, "every message of "+p.Name+" is received once", func(ctx context.Context) error {
			return tr.ask(ctx, other, func(c *relayclient.Client) error { return receivedOnce(ctx, c, tr.sent[p]) })
		})
	})
	must(tr.t, err)
	err = both(ctx, func(ctx context.Context, p, other *scenario.Party) error {
		for _, id := range tr.sent[p] {
			err := tr.ask(ctx, other, func(c *relayclient.Client) error {
				_, err := c.Acknowledge(ctx, p.TrustDomain, id, wire.AckRequest{Officer: "e2e"})
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	must(tr.t, err)
	for _, s := range tr.streams {
		if s.wrong != "" {
			tr.t.Errorf("the byte stream of %s: %s", s.at.Name, s.wrong)
		}
		o.broken += s.broken
		o.pause = max(o.pause, s.pause)
	}
	tr.t.Logf("%d messages of alfa and %d of bravo received once; byte streams broken %d times, longest pause %s",
		len(tr.sent[alfa]), len(tr.sent[bravo]), o.broken, o.pause.Round(time.Millisecond))
	return o
}

// mended is how often byte streams were opened anew up to now.
func (tr *traffic) mended() (n int64) {
	for _, s := range tr.streams {
		n += s.mended.Load()
	}
	return n
}

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
