// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/certlink/certlink/internal/relayclient"
	wire "github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/test/scenario"
)

// traffic is what goes on between two CERTs while something else happens: hotline
// messages in both directions, and a byte stream through a service of each. What was
// sent is looked at when it ends.
type traffic struct {
	t       *testing.T
	cancel  context.CancelFunc
	tasks   sync.WaitGroup
	senders []*sender
	streams []*stream
}

// sender sends messages from one side to the other through a door of its own.
type sender struct {
	from, to *scenario.Party
	door     door
	name     string // of the door, for people

	// slowest is what the longest attempt that failed said, and took how long it lasted.
	// Both are read when messages has returned.
	slowest string
	took    time.Duration

	mu     sync.Mutex // guards the rest
	client *relayclient.Client
	sent   []string
}

// door is a way to a relay's local port; it is opened anew when it fails.
type door func(ctx context.Context) (relayclient.DialFunc, error)

const (
	// pace of the messages of each sender.
	pace = 300 * time.Millisecond
	// attempt bounds one try to have a message stored.
	attempt = 5 * time.Second
)

// goOn starts traffic between alfa and bravo. It ends with the test, or with end.
func goOn(t *testing.T) *traffic {
	t.Helper()
	tr, ctx := send(t,
		&sender{from: alfa, to: bravo, door: func(ctx context.Context) (relayclient.DialFunc, error) { return dial(ctx, alfa) }},
		&sender{from: bravo, to: alfa, door: func(ctx context.Context) (relayclient.DialFunc, error) { return dial(ctx, bravo) }})
	for _, sender := range tr.senders {
		if sender.from.Harness == nil {
			continue
		}
		s := &stream{at: sender.from, of: sender.to}
		must(t, s.open(within(t, patience)))
		tr.streams = append(tr.streams, s)
		tr.tasks.Go(func() { s.run(ctx) })
	}
	return tr
}

// send starts messages alone.
func send(t *testing.T, senders ...*sender) (*traffic, context.Context) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	tr := &traffic{t: t, cancel: cancel, senders: senders}
	t.Cleanup(func() {
		cancel()
		tr.tasks.Wait()
		for _, s := range tr.senders {
			if s.client != nil {
				s.client.Close()
			}
		}
	})
	for _, s := range senders {
		tr.tasks.Go(func() { s.messages(ctx) })
	}
	return tr, ctx
}

// dial is a way to a relay's local port, past the API server if there is one.
func dial(ctx context.Context, p *scenario.Party) (relayclient.DialFunc, error) {
	if p.Harness != nil {
		return p.Direct(ctx)
	}
	way, _, err := p.Forward(scenario.LocalPort)
	return way, err
}

// ask asks the relay of the sender. The client is kept until it fails: the relay may
// have been restarted, or our root replaced.
func (s *sender) ask(ctx context.Context, question func(*relayclient.Client) error) error {
	s.mu.Lock()
	client := s.client
	s.mu.Unlock()
	if client == nil {
		way, err := s.door(ctx)
		if err != nil {
			return err
		}
		if client, err = s.from.Desk(ctx, way); err != nil {
			return err
		}
	}
	err := question(client)
	if err != nil {
		client.Close()
		client = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client = client
	return err
}

func (s *sender) messages(ctx context.Context) {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for {
		id := ulid.Make().String()
		err := s.stored(ctx, id)
		if err != nil {
			// The end came while it was given to the relay, which may have stored it: it is
			// given once more, or it would be read by nobody, and escalate in another test.
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), attempt)
			err = s.stored(last, id)
			cancel()
		}
		if err == nil {
			s.mu.Lock()
			s.sent = append(s.sent, id)
			s.mu.Unlock()
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// stored gives a message to the relay until it says that it is stored. A relay that is
// away does not take it: the same message is given to it again.
func (s *sender) stored(ctx context.Context, id string) error {
	return scenario.Poll(ctx, "message "+id+" is stored", func(ctx context.Context) error {
		// A pod that is gone answers nothing at all: its successor is asked soon.
		ctx, cancel := context.WithTimeout(ctx, attempt)
		defer cancel()
		start := time.Now()
		err := s.ask(ctx, func(c *relayclient.Client) error {
			_, err := c.Send(ctx, wire.SendRequest{Hotline: s.to.Name, ID: id, Subject: "traffic", Text: "t", Officer: "e2e", Precedence: "IMMEDIATE"})
			return err
		})
		if took := time.Since(start); err != nil && took > s.took {
			s.slowest, s.took = err.Error(), took
		}
		return err
	})
}

// taken is how many messages each sender has had stored up to now, the fewest.
func (tr *traffic) taken() int {
	fewest := -1
	for _, s := range tr.senders {
		s.mu.Lock()
		if fewest < 0 || len(s.sent) < fewest {
			fewest = len(s.sent)
		}
		s.mu.Unlock()
	}
	return fewest
}

// goesOn waits until each sender has had so many more messages stored.
func (tr *traffic) goesOn(more int) {
	tr.t.Helper()
	want := tr.taken() + more
	must(tr.t, scenario.Poll(within(tr.t, patience), "every sender goes on", func(context.Context) error {
		if n := tr.taken(); n < want {
			return fmt.Errorf("one has sent %d of %d messages", n, want)
		}
		return nil
	}))
}

// outcome is what became of the traffic.
type outcome struct {
	// broken is how often a byte stream ended that nobody had closed.
	broken int
	// pause is the longest time in which a byte stream stood still.
	pause time.Duration
}

// end stops sending, and checks that every message was received once, in the order
// in which it was sent, and in a row without gaps.
func (tr *traffic) end() (o outcome) {
	tr.t.Helper()
	tr.cancel()
	tr.tasks.Wait()
	ctx := within(tr.t, time.Minute)
	for _, s := range tr.senders {
		reader := tr.senders[slices.IndexFunc(tr.senders, func(r *sender) bool { return r.from == s.to })]
		err := scenario.Poll(ctx, "every message of "+s.from.Name+" is received once", func(ctx context.Context) error {
			return reader.ask(ctx, func(c *relayclient.Client) error { return receivedOnce(ctx, c, s.sent) })
		})
		must(tr.t, err)
		for _, id := range s.sent {
			err := reader.ask(ctx, func(c *relayclient.Client) error {
				_, err := c.Acknowledge(ctx, s.from.TrustDomain, id, wire.AckRequest{Officer: "e2e"})
				return err
			})
			must(tr.t, err)
		}
		tr.t.Logf("%d messages of %s received once and in order; the longest attempt that failed took %.1fs: %s",
			len(s.sent), strings.TrimSpace(s.from.Name+" "+s.name), s.took.Seconds(), s.slowest)
	}
	for _, s := range tr.streams {
		if s.wrong != "" {
			tr.t.Errorf("the byte stream of %s: %s", s.at.Name, s.wrong)
		}
		o.broken += s.broken
		o.pause = max(o.pause, s.pause)
	}
	if len(tr.streams) > 0 {
		tr.t.Logf("byte streams broken %d times, longest pause %s", o.broken, o.pause.Round(time.Millisecond))
	}
	return o
}

// mended is how often byte streams were opened anew up to now.
func (tr *traffic) mended() (n int64) {
	for _, s := range tr.streams {
		n += s.mended.Load()
	}
	return n
}
