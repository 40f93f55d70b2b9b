// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	mrand "math/rand/v2"
	"time"

	"github.com/certlink/certlink/relay/store"
)

// DefaultTime of a lease: how long work rests at most after its replica died.
const DefaultTime = 9 * time.Second

// releaseTimeout bounds the giving back of a lease when we stop.
const releaseTimeout = 2 * time.Second

// Config of a Sharer. Store is required.
type Config struct {
	// Store gives the leases.
	Store store.Leases
	// Holder names this replica; no other may have the name. Empty means a random one.
	Holder string
	// Time of a lease, at least 3 ms. 0 means DefaultTime.
	Time time.Duration
	// Log gets who works. Nil means none.
	Log *slog.Logger
}

// Sharer does work while this replica has its lease.
type Sharer struct{ cfg Config }

// New makes a Sharer. It starts nothing.
func New(cfg Config) (*Sharer, error) {
	if cfg.Store == nil {
		return nil, errors.New("sharing work: the store is required")
	}
	if cfg.Holder == "" {
		cfg.Holder = rand.Text()
	}
	if cfg.Time == 0 {
		cfg.Time = DefaultTime
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Sharer{cfg: cfg}, nil
}

// pause between two looks at a lease, with some jitter: replicas need not ask together.
func (s *Sharer) pause() time.Duration {
	third := s.cfg.Time / 3
	return third - mrand.N(third/8+1)
}

// Do does the work of that name whenever this replica has its lease, until ctx ends. The
// context of work ends when the lease is lost; work must then return soon. It begins anew
// when the lease is there again. Work that returns by itself is done: Do returns.
func (s *Sharer) Do(ctx context.Context, name string, work func(ctx context.Context)) {
	for ctx.Err() == nil {
		asked := time.Now()
		l, held, err := s.cfg.Store.Acquire(ctx, name, s.cfg.Holder, s.cfg.Time)
		if err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("asking for a lease failed", "lease", name, "error", err)
		}
		if held && err == nil && s.hold(ctx, l, asked, work) {
			return
		}
		wait(ctx, s.pause())
	}
}

// hold does the work and renews the lease. It tells whether the work is done.
func (s *Sharer) hold(ctx context.Context, l store.Lease, asked time.Time, work func(ctx context.Context)) (done bool) {
	s.cfg.Log.Info("this replica has the lease", "lease", l.Name)
	working, stop := context.WithCancel(store.Under(ctx, l))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		work(working)
	}()
	// Not under the lease: the store says then who has it, and refuses nothing.
	lost := s.renew(ctx, l, asked, ended)
	// Whoever stops working stops before the lease goes on.
	stop()
	<-ended
	if lost {
		s.cfg.Log.Warn("this replica has lost the lease", "lease", l.Name)
		return false
	}
	giving, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	if err := s.cfg.Store.Release(giving, l.Name, s.cfg.Holder); err != nil {
		s.cfg.Log.Warn("giving back a lease failed; it expires", "lease", l.Name, "error", err)
	}
	return ctx.Err() == nil
}

// renew keeps the lease until the work has ended. It tells whether it was lost: it
// went to another, or could not be renewed for so long that it soon may.
func (s *Sharer) renew(ctx context.Context, l store.Lease, asked time.Time, ended <-chan struct{}) (lost bool) {
	// The lease ends at this time at the earliest; a sixth is left to end the work.
	until := func() time.Time { return asked.Add(s.cfg.Time * 5 / 6) }
	for {
		next := time.NewTimer(s.pause())
		select {
		case <-ended:
			next.Stop()
			return false
		case <-ctx.Done():
			next.Stop()
			return false
		case <-next.C:
		}
		began := time.Now()
		trying, cancel := context.WithDeadline(ctx, until())
		now, held, err := s.cfg.Store.Acquire(trying, l.Name, s.cfg.Holder, s.cfg.Time)
		cancel()
		switch {
		case ctx.Err() != nil:
			return false
		case err == nil && held && now.Token == l.Token:
			asked = began
		case err == nil:
			return true
		case !time.Now().Before(until()):
			return true
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
