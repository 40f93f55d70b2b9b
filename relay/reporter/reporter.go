// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

// Package reporter assembles the relay's self-report from its parts and serves it
// to those who wait for a change.
//
// It promises that the revision differs whenever something differs on which a
// person would act, within a moment of a part saying so and within a few seconds
// when none did; and that it stays the same otherwise, round trips included. A
// part that cannot be looked at is absent from the report, not guessed.
//
// It judges nothing: what a state means is for the operator.
package reporter

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/report"
)

// The pace of looking.
const (
	// gather is the shortest time between two looks, so that a burst of changes
	// is one revision.
	gather = 50 * time.Millisecond
	// restFor times as long as a look took nothing looks, at most longestRest: where thousands of
	// messages wait a look is dear, and each message that moves would ask for one.
	restFor     = 15
	longestRest = time.Second
	// lookEvery is the longest time between two looks.
	lookEvery = 3 * time.Second
	// lookTimeout bounds one look.
	lookTimeout = 10 * time.Second
)

// maxWaiters is how many requests may wait for a change at once.
const maxWaiters = 64

// Config says where the report comes from. A nil function means that the relay
// has no such part.
type Config struct {
	// Version of the build.
	Version string
	// Live says which configuration is live, Identity describes our certificates.
	// Both are required.
	Live     func() report.ConfigState
	Identity func() report.IdentityState
	// Peers, Exports, Imports, Deliveries, Hotlines and Services are asked at each look.
	Peers      func(context.Context) ([]report.Peer, error)
	Exports    func(context.Context) ([]report.Export, error)
	Imports    func(context.Context) ([]report.Import, error)
	Deliveries func(context.Context) ([]report.Delivery, error)
	Hotlines   func(context.Context) ([]report.Hotline, error)
	Services   func(context.Context) ([]report.Service, error)
	// Territory is asked likewise.
	Territory func(context.Context) ([]report.Dataset, error)
	// Complete are called in their order for each of Peers, to fill in what other parts
	// know: Offer, Trust, Tunnels.
	Complete []func(*report.Peer)
	// Clock returns the time; nil means time.Now.
	Clock func() time.Time
	// Log is required.
	Log *slog.Logger
}

// Reporter keeps the present report.
type Reporter struct {
	cfg     Config
	started time.Time
	poke    chan struct{}
	waiters chan struct{} // one token for each that waits
	prefix  string        // of the revisions of this process
	ended   chan struct{} // closed when Run ends

	mu      sync.Mutex // guards what follows
	current report.Report
	digest  [sha256.Size]byte
	count   int64
	next    chan struct{} // closed when the revision changes
}

// New checks the configuration. There is no report before Run.
func New(cfg Config) (*Reporter, error) {
	if cfg.Live == nil || cfg.Identity == nil || cfg.Log == nil {
		return nil, errors.New("reporter needs the live configuration, an identity and a logger")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	return &Reporter{
		cfg:     cfg,
		started: cfg.Clock().UTC().Truncate(time.Second),
		poke:    make(chan struct{}, 1),
		waiters: make(chan struct{}, maxWaiters),
		prefix:  rand.Text()[:8],
		ended:   make(chan struct{}),
		next:    make(chan struct{}),
	}, nil
}

// Changed says that a part has something new. It never blocks.
func (r *Reporter) Changed() {
	select {
	case r.poke <- struct{}{}:
	default:
	}
}

// Run looks at the parts until the context ends; then those who wait for a change
// are answered at once. It is called once.
func (r *Reporter) Run(ctx context.Context) error {
	defer close(r.ended)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		begun := time.Now()
		r.look(ctx)
		if !pause(ctx, restAfter(time.Since(begun))) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.poke:
		case <-tick.C:
		}
	}
}

// restAfter a look that took so long.
func restAfter(took time.Duration) time.Duration {
	return max(gather, min(restFor*took, longestRest))
}

// look assembles the report and tells those who wait when it differs.
func (r *Reporter) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	now := r.assemble(ctx)
	if ctx.Err() != nil {
		return // half a look would be a wrong report
	}
	digest := digestOf(now)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count > 0 && digest == r.digest {
		now.Revision = r.current.Revision
		r.current = now // for the figures that do not count
		return
	}
	r.count++
	now.Revision = fmt.Sprintf("%s-%d", r.prefix, r.count)
	r.current, r.digest = now, digest
	close(r.next)
	r.next = make(chan struct{})
}

func (r *Reporter) assemble(ctx context.Context) report.Report {
	return report.Report{
		StartedAt:  r.started,
		Version:    r.cfg.Version,
		Config:     r.cfg.Live(),
		Identity:   r.cfg.Identity(),
		Peers:      r.peers(ctx),
		Exports:    ask(ctx, r.cfg.Log, "exports", r.cfg.Exports),
		Imports:    ask(ctx, r.cfg.Log, "imports", r.cfg.Imports),
		Deliveries: ask(ctx, r.cfg.Log, "deliveries", r.cfg.Deliveries),
		Hotlines:   ask(ctx, r.cfg.Log, "hotlines", r.cfg.Hotlines),
		Services:   ask(ctx, r.cfg.Log, "services", r.cfg.Services),
		Territory:  ask(ctx, r.cfg.Log, "territory", r.cfg.Territory),
	}
}

// peers asks for the peers, and lets other parts complete them.
func (r *Reporter) peers(ctx context.Context) []report.Peer {
	peers := slices.Clone(ask(ctx, r.cfg.Log, "peers", r.cfg.Peers))
	for i := range peers {
		for _, complete := range r.cfg.Complete {
			complete(&peers[i])
		}
	}
	return peers
}

// ask asks one part. One that cannot answer is absent.
func ask[T any](ctx context.Context, log *slog.Logger, part string, f func(context.Context) ([]T, error)) []T {
	if f == nil {
		return nil
	}
	list, err := f(ctx)
	if err != nil {
		if ctx.Err() == nil {
			log.Warn("a part of the report is absent", "part", part, "error", err)
		}
		return nil
	}
	return list
}

// digestOf is a hash over all that counts: without revision and round trips.
func digestOf(r report.Report) [sha256.Size]byte {
	r.Revision = ""
	peers := make([]report.Peer, len(r.Peers))
	for i, p := range r.Peers {
		p.Paths = append([]report.PathState(nil), p.Paths...)
		for j := range p.Paths {
			p.Paths[j].RoundTripMilliseconds = 0
		}
		peers[i] = p
	}
	r.Peers = peers
	data, err := json.Marshal(r)
	if err != nil { // the types of the report have no value that cannot be written
		data = []byte(err.Error())
	}
	return sha256.Sum256(data)
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
