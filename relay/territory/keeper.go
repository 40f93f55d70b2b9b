// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package territory

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/config"
)

// Config is what a Keeper needs.
type Config struct {
	// Log is required.
	Log *slog.Logger
	// Registry takes the metrics; nil means none.
	Registry prometheus.Registerer
	// Clock returns the time; nil means time.Now.
	Clock func() time.Time
}

// Keeper keeps the current atlas. Its methods may be called concurrently.
type Keeper struct {
	cfg     Config
	current atomic.Pointer[Atlas]

	mu        sync.Mutex // guards what follows, and publishing
	listeners []func(*Atlas)
}

// NewKeeper checks the configuration and starts nothing. Its first atlas is empty.
func NewKeeper(cfg Config) (*Keeper, error) {
	if cfg.Log == nil {
		return nil, errors.New("territory needs a logger")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	k := &Keeper{cfg: cfg}
	k.current.Store(&Atlas{})
	return k, nil
}

// Current is the atlas in force, never nil.
func (k *Keeper) Current() *Atlas { return k.current.Load() }

// OnChange calls f with each new atlas whose digest is another one, in order. Call it
// before Run. f must not block.
func (k *Keeper) OnChange(f func(*Atlas)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.listeners = append(k.listeners, f)
}

// Apply takes a new live configuration. It reads the files and what was fetched
// before, and publishes the atlas, before it returns: so nothing is decided without
// the data that there is. What was never fetched is fetched in Run.
func (k *Keeper) Apply(config.Territory) {}

// Run reads files when they change and fetches what is due, until ctx ends. It
// returns nil once everything that it started has ended.
func (k *Keeper) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
