// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/store"
)

// Identity is who we are and whom we trust at one moment. identity.Snapshot is one.
type Identity interface {
	receipt.Signer
	receipt.Verifier
	// TrustDomain is our own.
	TrustDomain() string
}

// Config of an Engine. Store to Client are required.
type Config struct {
	// Store has what was checked.
	Store store.LineChecks
	// Change changes the line with a peer and journals the entry that it returns, as
	// hotline.Engine.Change does.
	Change func(ctx context.Context, trustDomain string, do func(store.LineTx) (*store.JournalEntry, error)) error
	// Act writes the entry of our journal for an act, as hotline.Act does.
	Act func(name string, at time.Time, details map[string]string) (*store.JournalEntry, error)
	// Identity returns our present identity.
	Identity func() Identity
	// Paths returns the paths of a peer, as link.Pool does.
	Paths func(trustDomain string) []link.Path
	// Client returns a client whose requests go over one path, on the connections of the hotline.
	Client func(at link.Path) *http.Client
	// PathOf tells over which path a request came. Nil means link.PathOf.
	PathOf func(ctx context.Context) (link.Path, bool)
	// Allowed says why nothing may be asked of a peer now; nil means that it may. Nil means always.
	Allowed func(trustDomain string) error
	// Others takes statements of other packages about the line, by their path on the link
	// port: bounded like our own, and only of a peer with a hotline. It returns the answer.
	Others map[string]func(ctx context.Context, trustDomain string, signed []byte) ([]byte, error)
	// Lead does work while this replica has the lease of that name. Nil means that there
	// is no other replica.
	Lead func(ctx context.Context, name string, work func(ctx context.Context))
	// Now is the wall clock; nil means time.Now. Steady is one that is never set; nil
	// means the time since New.
	Now    func() time.Time
	Steady func() time.Duration
	// Log gets events. Nil means none.
	Log *slog.Logger
	// Changed is called when the state of a path changed. It must not block. Nil means nobody.
	Changed func()
	// Registry takes the metrics. Nil means none.
	Registry prometheus.Registerer
}

// Engine checks the paths of all hotlines.
type Engine struct {
	cfg     Config
	metrics *metrics

	mu    sync.Mutex // guards what follows
	lines map[string]*line
	// start runs a line; nil while Run does not run.
	start func(*line)
}

// line is the checks of the hotline to one peer.
type line struct {
	engine      *Engine
	trustDomain string
	// wake makes run and watch look again.
	wakeRun, wakeWatch chan struct{}
	// rate and recordRate bound what the peer may ask of us: checks, of which each is stored,
	// and records, for each of which a month is read.
	rate, recordRate *rate.Limiter
	// recording is held while a record is made: one at a time.
	recording sync.Mutex

	mu     sync.Mutex // guards what follows
	name   string
	checks config.LineChecks
	cancel context.CancelFunc
	// since is from when on we have watched without a break, by the time that is declared.
	since time.Time
	// looked is the last look at the clocks.
	looked moment
	// keptAt is when old days were last summed up, recordAt when records are looked at next.
	keptAt, recordAt time.Time
}

// New checks the configuration and starts nothing.
func New(cfg Config) (*Engine, error) {
	if cfg.Store == nil || cfg.Change == nil || cfg.Act == nil || cfg.Identity == nil || cfg.Paths == nil || cfg.Client == nil {
		return nil, errors.New("building line checks: store, change, act, identity, paths and client are required")
	}
	if cfg.PathOf == nil {
		cfg.PathOf = link.PathOf
	}
	if cfg.Allowed == nil {
		cfg.Allowed = func(string) error { return nil }
	}
	if cfg.Lead == nil {
		cfg.Lead = func(ctx context.Context, _ string, work func(context.Context)) { work(ctx) }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Steady == nil {
		begin := time.Now()
		cfg.Steady = func() time.Duration { return time.Since(begin) }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	m, err := newMetrics(cfg.Registry)
	if err != nil {
		return nil, fmt.Errorf("building line checks: %w", err)
	}
	return &Engine{cfg: cfg, metrics: m, lines: map[string]*line{}}, nil
}

// Apply takes a new live configuration. A hotline whose peer is revoked is not checked; one
// whose peer is suspended is, as its messages go on.
func (e *Engine) Apply(c *config.Config) {
	peers := map[string]config.Peer{}
	for _, p := range c.Peers {
		peers[p.Name] = p
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	before := e.lines
	e.lines = map[string]*line{}
	for _, h := range c.Hotlines {
		p, ok := peers[h.Peer]
		if !ok || p.State == config.Revoked {
			continue
		}
		l := before[p.TrustDomain]
		isNew := l == nil
		if isNew {
			l = &line{
				engine: e, trustDomain: p.TrustDomain, since: e.cfg.Now(), rate: rate.NewLimiter(1, 128), recordRate: rate.NewLimiter(rate.Every(5*time.Second), 16),
				wakeRun: make(chan struct{}, 1), wakeWatch: make(chan struct{}, 1),
			}
		}
		delete(before, p.TrustDomain)
		e.lines[p.TrustDomain] = l
		l.apply(h)
		if isNew && e.start != nil {
			e.start(l)
		}
	}
	for _, l := range before {
		l.stop()
	}
}

// apply takes new settings. From when less time is declared than before, we have watched for
// it only since now.
func (l *line) apply(h config.Hotline) {
	l.mu.Lock()
	if h.LineChecks.MissedAfterSeconds < l.checks.MissedAfterSeconds {
		l.since = l.engine.cfg.Now()
	}
	if l.name != "" && l.name != h.Name {
		l.engine.metrics.forget(l.name)
	}
	l.name, l.checks = h.Name, h.LineChecks
	l.mu.Unlock()
	l.wake()
}

func (l *line) settings() (name string, checks config.LineChecks) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.name, l.checks
}

func (l *line) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cancel != nil {
		l.cancel()
	}
	l.engine.metrics.forget(l.name)
}

// wake makes the line look at its schedule and its state.
func (l *line) wake() {
	for _, c := range []chan struct{}{l.wakeRun, l.wakeWatch} {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Run checks and watches until ctx ends, and then waits for what it started.
func (e *Engine) Run(ctx context.Context) error {
	var running sync.WaitGroup
	e.mu.Lock()
	e.start = func(l *line) {
		lineCtx, cancel := context.WithCancel(ctx)
		l.mu.Lock()
		l.cancel = cancel
		l.mu.Unlock()
		running.Go(func() {
			e.cfg.Lead(lineCtx, "linecheck/"+l.trustDomain, l.run)
		})
		running.Go(func() { l.fill(lineCtx) })
		running.Go(func() {
			defer cancel()
			l.watch(lineCtx)
		})
	}
	for _, l := range e.lines {
		e.start(l)
	}
	e.mu.Unlock()
	<-ctx.Done()
	e.mu.Lock()
	e.start = nil
	e.mu.Unlock()
	running.Wait()
	return nil
}

// Wake looks at the checks of a peer: the link to it is up again.
func (e *Engine) Wake(trustDomain string) {
	if l := e.line(trustDomain); l != nil {
		l.wake()
	}
}

// line to a peer, nil if there is none.
func (e *Engine) line(trustDomain string) *line {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lines[trustDomain]
}

// named finds a line by the name of its hotline.
func (e *Engine) named(hotline string) (*line, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.lines {
		if name, _ := l.settings(); name == hotline {
			return l, nil
		}
	}
	return nil, fmt.Errorf("there is no hotline %q, or its peer is revoked: %w", clip(hotline), store.ErrNotFound)
}

// now looks at both clocks.
func (e *Engine) now() moment { return moment{wall: e.cfg.Now(), steady: e.cfg.Steady()} }

// clock notes when the wall clock was set, and returns since when it was not.
func (l *line) clock(now moment) (since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if jumped(l.looked, now) {
		l.since = now.wall
	}
	l.looked = now
	return l.since
}

// sleep waits, or until the line is woken; false when ctx ended.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-wake:
	}
	return ctx.Err() == nil
}

// clip makes text of others fit for a log or an answer.
func clip(s string) string {
	const longest = 300
	if len(s) > longest {
		s = s[:longest] + "…"
	}
	out := []rune(s)
	for i, r := range out {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			out[i] = ' '
		}
	}
	return string(out)
}
