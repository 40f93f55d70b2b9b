// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/certlink/certlink/relay/access"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cable plays the network between who dials an address and who listens there. What
// is under way when it is cut arrives when it is mended, as TCP has it.
type cable struct {
	mu     sync.Mutex
	cut    [2]bool // towards the listener, back
	delay  time.Duration
	refuse error // of dials
	wakes  []chan struct{}
	ends   []*end
	dials  int
	heard  [2]time.Time // when a byte last arrived there and back
}

const (
	there = 0
	back  = 1
)

func (c *cable) set(f func(*cable)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(c)
	for _, w := range c.wakes {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

func (c *cable) cutBoth(cut bool) { c.set(func(c *cable) { c.cut = [2]bool{cut, cut} }) }

// hangUp ends all connections, as the death of a process does.
func (c *cable) hangUp() {
	c.mu.Lock()
	ends := slices.Clone(c.ends)
	c.mu.Unlock()
	for _, e := range ends {
		e.Close()
	}
}

type parcel struct {
	due  time.Time
	data []byte
}

// queue is one direction of a connection.
type queue struct {
	cable  *cable
	way    int
	wake   chan struct{}
	queued []parcel
	closed bool
}

// end is one end of a connection.
type end struct {
	net.Conn // nil: what is not played panics
	in, out  *queue
}

func (c *cable) connect() (*end, *end) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := &queue{cable: c, way: there, wake: make(chan struct{}, 1)}
	two := &queue{cable: c, way: back, wake: make(chan struct{}, 1)}
	c.wakes = append(c.wakes, one.wake, two.wake)
	a, b := &end{in: two, out: one}, &end{in: one, out: two}
	c.ends = append(c.ends, a, b)
	return a, b
}

func (e *end) Write(p []byte) (int, error) {
	q := e.out
	var closed bool
	q.cable.set(func(c *cable) {
		closed = q.closed
		q.queued = append(q.queued, parcel{time.Now().Add(c.delay), slices.Clone(p)})
	})
	if closed {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

func (e *end) Read(p []byte) (int, error) {
	q := e.in
	for {
		n, wait, err := q.take(p)
		if n > 0 || err != nil {
			return n, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-q.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (q *queue) take(p []byte) (int, time.Duration, error) {
	q.cable.mu.Lock()
	defer q.cable.mu.Unlock()
	now := time.Now()
	switch {
	case len(q.queued) > 0 && !q.cable.cut[q.way] && !q.queued[0].due.After(now):
		n := copy(p, q.queued[0].data)
		q.cable.heard[q.way] = now
		if q.queued[0].data = q.queued[0].data[n:]; len(q.queued[0].data) == 0 {
			q.queued = q.queued[1:]
		}
		return n, 0, nil
	case q.closed && (len(q.queued) == 0 || q.cable.cut[q.way]):
		return 0, 0, io.EOF
	case len(q.queued) > 0 && !q.cable.cut[q.way]:
		return 0, q.queued[0].due.Sub(now), nil
	}
	return 0, time.Hour, nil
}

func (e *end) Close() error {
	e.in.cable.set(func(*cable) { e.in.closed, e.out.closed = true, true })
	return nil
}

func (e *end) SetWriteDeadline(time.Time) error { return nil }

// side is one relay's prober with its links.
type side struct {
	*Prober
	t      *testing.T
	name   string
	cfg    config.Config
	cables map[string]*cable // by address that we dial
	others map[string]*side  // who listens there
	// by address of ours that others dial; guarded by mu
	dialled map[string]*cable

	mu      sync.Mutex
	jump    time.Duration // of the clock
	mark    time.Time     // Heard
	ups     int
	changes int
	told    map[link.Path]report.State
	offer   string
	offers  []string
	stop    func()
}

func (s *side) Heartbeat(ctx context.Context, path link.Path) (net.Conn, report.TLS, error) {
	c := s.cables[path.Address]
	c.mu.Lock()
	c.dials++
	err, cut, delay := c.refuse, c.cut[0] || c.cut[1], c.delay
	c.mu.Unlock()
	if err != nil {
		return nil, report.TLS{}, err
	}
	if cut {
		pause(ctx, 5*time.Second)
		return nil, report.TLS{}, &link.Error{Cause: report.CauseUnreachable, Message: path.Address + ": no answer in time", Err: os.ErrDeadlineExceeded}
	}
	pause(ctx, 2*delay)
	other := s.others[path.Address]
	mine, theirs := c.connect()
	go other.Heartbeats(context.Background(), access.Peer{Name: s.name, TrustDomain: s.name + ".example", Relay: true},
		link.Path{Address: path.Address, Accepted: true}, report.TLS{Version: "TLS 1.3"}, theirs)
	return mine, report.TLS{Version: "TLS 1.3"}, nil
}

// Heard is what the cable says, by the clock of the side, or else what the test has put.
func (s *side) Heard(path link.Path) time.Time {
	s.mu.Lock()
	mark, jump := s.mark, s.jump
	c, way := s.cables[path.Address], back
	if path.Accepted {
		c, way = s.dialled[path.Address], there
	}
	s.mu.Unlock()
	if !mark.IsZero() || c == nil {
		return mark
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard[way].Round(0).Add(jump)
}

func (s *side) SetPath(path link.Path, state report.State, _ time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told[path] = state
}

func (s *side) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.jump)
}

// newSide makes a side that knows the others of these names.
func newSide(t *testing.T, name string, peers ...string) *side {
	s := &side{t: t, name: name, cables: map[string]*cable{}, others: map[string]*side{}, dialled: map[string]*cable{}, told: map[link.Path]report.State{}}
	for _, p := range peers {
		s.cfg.Peers = append(s.cfg.Peers, config.Peer{
			Name: p, TrustDomain: p + ".example", State: config.Active,
			Detection: config.Detection{IntervalMilliseconds: 100, Misses: 3},
		})
	}
	s.build()
	return s
}

func (s *side) build() {
	s.t.Helper()
	count := func(n *int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		*n++
	}
	p, err := New(Config{
		Links:   s,
		OnUp:    func(config.Peer) { count(&s.ups) },
		Changed: func() { count(&s.changes) },
		Offer: func(string) string {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.offer
		},
		OfferSeen: func(_, revision string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.offers = append(s.offers, revision)
		},
		Clock: s.now, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.Prober = p
}

// dials lets the side dial an address of another.
func (s *side) dials(other *side, address string) *cable {
	c := &cable{}
	s.cables[address], s.others[address] = c, other
	other.with(func(o *side) { o.dialled[address] = c })
	for i := range s.cfg.Peers {
		if s.cfg.Peers[i].Name == other.name {
			s.cfg.Peers[i].Endpoints = append(s.cfg.Peers[i].Endpoints, config.Endpoint{Address: address})
		}
	}
	return c
}

// run starts the side until the test ends, or stop.
func (s *side) run() {
	s.Apply(&s.cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(func() { s.stop() })
}

// restart replaces the process of a side.
func (s *side) restart() {
	s.build()
	s.run()
}

// with reads what the side was told.
func (s *side) with(f func(*side)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

// peer is what the side reports of its first peer.
func (s *side) peer() report.Peer {
	s.t.Helper()
	synctest.Wait()
	peers, err := s.ReportPeers(s.t.Context())
	if err != nil || len(peers) == 0 {
		s.t.Fatalf("ReportPeers = %v, %v", peers, err)
	}
	return peers[0]
}

// expect checks the directions of the link.
func (s *side) expect(out, in report.State) {
	s.t.Helper()
	if p := s.peer(); p.Outbound.State != out || p.Inbound.State != in {
		s.t.Errorf("%s: outbound %s (%s), inbound %s (%s); want %s and %s", s.name, p.Outbound.State, p.Outbound.Message, p.Inbound.State, p.Inbound.Message, out, in)
	}
}

// sleep lets the time of the bubble pass.
func sleep(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // the clock of the bubble
	synctest.Wait()
}

// two makes alfa, which dials bravo at one address, and runs both.
func two(t *testing.T, mods ...func(alfa, bravo *side)) (alfa, bravo *side, c *cable) {
	t.Helper()
	alfa, bravo = newSide(t, "alfa", "bravo"), newSide(t, "bravo", "alfa")
	c = alfa.dials(bravo, "bravo:1")
	for _, mod := range mods {
		mod(alfa, bravo)
	}
	bravo.run()
	alfa.run()
	return alfa, bravo, c
}
