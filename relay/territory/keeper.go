// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package territory

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/territory/warninglist"
)

// lookEvery is how often files are looked at.
const lookEvery = 5 * time.Second

// Config is what a Keeper needs.
type Config struct {
	// Log is required.
	Log *slog.Logger
	// Changed is called when the state of a data set changed. It must not block. Nil
	// means nobody.
	Changed func()
	// Registry takes the metrics; nil means none.
	Registry prometheus.Registerer
	// Clock returns the time; nil means time.Now.
	Clock func() time.Time
}

// Keeper keeps the current atlas. Its methods may be called concurrently.
type Keeper struct {
	cfg     Config
	current atomic.Pointer[Atlas]
	wake    chan struct{}

	mu        sync.Mutex // guards what follows, the sources' state, and publishing
	sources   []*source  // in the order of the configuration, data sets first
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
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	k := &Keeper{cfg: cfg, wake: make(chan struct{}, 1)}
	k.current.Store(newAtlas(nil, nil, nil, nil))
	if cfg.Registry != nil {
		if err := cfg.Registry.Register(collector{k}); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// Current is the atlas in force, never nil.
func (k *Keeper) Current() *Atlas { return k.current.Load() }

// OnChange calls f with each new atlas whose digest is another one, in order. Call it
// before Run. f must not block, and must not call the Keeper.
func (k *Keeper) OnChange(f func(*Atlas)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.listeners = append(k.listeners, f)
}

// Apply takes a new live configuration. It reads the files and what was fetched
// before, and publishes the atlas, before it returns: so nothing is decided without
// the data that there is. What was never fetched is fetched in Run.
func (k *Keeper) Apply(c config.Territory) {
	k.mu.Lock()
	defer k.mu.Unlock()
	before := map[string]*source{}
	for _, s := range k.sources {
		before[s.conf.Name] = s
	}
	k.sources = nil
	for _, list := range [][]config.Dataset{c.Datasets, c.WarningLists} {
		for _, conf := range list {
			old := before[conf.Name]
			if old != nil && old.archive.directory == c.Directory && reflect.DeepEqual(old.conf, conf) {
				delete(before, conf.Name)
				k.sources = append(k.sources, old)
				continue
			}
			k.sources = append(k.sources, newSource(conf, c.Directory, k.cfg.Log))
		}
	}
	for _, gone := range before {
		gone.close()
	}
	for _, s := range k.sources {
		if !s.restored {
			s.restore(k.cfg.Clock(), share(k.sources))
		}
	}
	k.publish()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Run reads files when they change and fetches what is due, until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		k.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-k.wake:
		}
	}
}

// look does once what is to be done now.
func (k *Keeper) look(ctx context.Context) {
	k.mu.Lock()
	sources := k.sources
	k.mu.Unlock()
	for _, s := range sources {
		if ctx.Err() != nil {
			return
		}
		if !s.due(k.cfg.Clock()) {
			continue
		}
		// Without the lock: it may take as long as a server likes.
		found := s.read(ctx, k.cfg.Clock)
		if ctx.Err() != nil {
			return
		}
		k.mu.Lock()
		if k.has(s) && s.take(found, k.cfg.Clock()) {
			k.publish()
		}
		k.mu.Unlock()
		k.cfg.Changed()
	}
}

// has tells whether a source is still part of the configuration. The caller holds mu.
func (k *Keeper) has(s *source) bool { return slices.Contains(k.sources, s) }

// publish makes an atlas of what all sources have. The caller holds mu.
func (k *Keeper) publish() {
	k.forgetHistory()
	var sets []*dataset
	var lists []*warninglist.List
	var names, sums []string
	for _, s := range k.sources {
		if len(s.snapshots) > 0 {
			sets = append(sets, &dataset{s.conf.Name, s.snapshots})
		}
		if s.list != nil {
			lists, names, sums = append(lists, s.list), append(names, s.conf.Name), append(sums, s.sum)
		}
	}
	now := newAtlas(sets, names, sums, lists)
	if now.Digest() == k.current.Load().Digest() {
		return
	}
	k.current.Store(now)
	for _, f := range k.listeners {
		f(now)
	}
	k.cfg.Changed()
}

// forgetHistory keeps what is older than the newest snapshots within maxHistory, each
// data set within its share. The caller holds mu.
func (k *Keeper) forgetHistory() {
	for _, s := range k.sources {
		s.forget(share(k.sources))
	}
}

// share is the memory that the history of each data set may take.
func share(sources []*source) int { return maxHistory / max(len(sources), 1) }
