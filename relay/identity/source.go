// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certlink/certlink/internal/cabundle"
	"github.com/certlink/certlink/internal/filewatch"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

// every is how often the files are read without an event.
const every = 2 * time.Second

// Config is what a Source needs.
type Config struct {
	// Log is required.
	Log *slog.Logger
	// Clock returns the time; nil means time.Now.
	Clock func() time.Time
}

// Source keeps the current snapshot.
type Source struct {
	log     *slog.Logger
	clock   func() time.Time
	current atomic.Pointer[Snapshot]
	err     atomic.Pointer[error] // why newer files were refused
	sights  *sights

	mu        sync.Mutex // guards what follows, and publishing
	cfg       *config.Config
	own       own
	loaded    bool
	lessons   lessons
	listeners []func(*Snapshot)
}

// New returns a source without a snapshot; Apply gives it the first one.
func New(cfg Config) (*Source, error) {
	if cfg.Log == nil {
		return nil, errors.New("identity needs a logger")
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	return &Source{log: cfg.Log, clock: cfg.Clock, sights: newSights()}, nil
}

// OnChange calls f with each new snapshot, in order, before Apply returns. Call
// it before Run. f must not block.
func (s *Source) OnChange(f func(*Snapshot)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = append(s.listeners, f)
}

// Current returns the snapshot; nil before the first Apply.
func (s *Source) Current() *Snapshot { return s.current.Load() }

// State describes our certificates for the report.
func (s *Source) State() report.IdentityState {
	now := s.Current()
	if now == nil {
		return report.IdentityState{}
	}
	serial := func(c credential) string { return c.chain[0].SerialNumber.Text(16) }
	state := report.IdentityState{
		Serial: now.LinkSerial(), LocalSerial: serial(now.own.local), SigningSerial: serial(now.own.signing),
		Root: now.Root(), Roots: cabundle.Hashes(now.Advertised()), NotAfter: now.own.notAfter(),
	}
	err := now.own.validAt(s.clock())
	if err == nil {
		err = now.own.fault
	}
	if refused := s.err.Load(); refused != nil {
		err = *refused
	}
	if err != nil {
		state.Error = err.Error()
	}
	return state
}

// Apply takes the certificates and peers of a configuration. It fails, and
// changes nothing, when there is no snapshot yet and the files cannot be used, or
// when a peer cannot; files that turn bad later keep the last good ones.
func (s *Source) Apply(c *config.Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh, err := s.load(c.Identity)
	if err != nil && !s.loaded {
		return err
	}
	o := s.own
	if err == nil {
		o = fresh
	}
	learned, peersErr := s.lessons.under(c, s.cfg)
	if peersErr != nil {
		return peersErr
	}
	snapshot, peersErr := s.snapshot(o, c, learned)
	if peersErr != nil {
		return peersErr
	}
	s.cfg, s.lessons = c, learned
	s.sights.keep(func(td string) bool { _, known := snapshot.Peer(td); return known })
	s.settle(o, err)
	s.publish(snapshot)
	return nil
}

// Run reads the files again when they change, and while they are refused, until
// the context ends.
func (s *Source) Run(ctx context.Context) error {
	var retrying sync.WaitGroup
	defer retrying.Wait()
	retrying.Go(func() { s.retry(ctx) })
	return filewatch.Run(ctx, filewatch.Config{Files: s.files, Every: every, Changed: s.reload, Log: s.log})
}

// retry reads refused files again though they did not change: a certificate that
// was issued by a clock ahead of ours becomes valid with time alone.
func (s *Source) retry(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if s.err.Load() != nil {
				s.reload()
			}
		}
	}
}

func (s *Source) files() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cfg == nil {
		return nil
	}
	id := s.cfg.Identity
	var files []string
	for _, p := range []config.KeyPair{id.Link, id.Local, id.Signing} {
		files = append(files, p.CertFile, p.KeyFile, p.CAFile)
	}
	return files
}

func (s *Source) reload() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cfg == nil {
		return
	}
	o, err := s.load(s.cfg.Identity)
	if err != nil {
		s.settle(s.own, err)
		return
	}
	if same(o, s.own) {
		s.settle(o, nil)
		return
	}
	snapshot, err := s.snapshot(o, s.cfg, s.lessons)
	if err != nil {
		s.settle(s.own, err)
		return
	}
	s.settle(o, nil)
	s.publish(snapshot)
	s.log.Info("certificates reloaded", "serial", snapshot.LinkSerial(), "not_after", o.notAfter())
}

// load reads the files. Certificates outside their validity do not replace valid
// ones.
func (s *Source) load(id config.Identity) (own, error) {
	o, err := loadOwn(id, s.clock())
	if err != nil {
		return own{}, err
	}
	now := s.clock()
	if err := o.validAt(now); err != nil && s.loaded && s.own.validAt(now) == nil {
		return own{}, fmt.Errorf("keeping the certificates that are loaded: %w", err)
	}
	return o, nil
}

// settle notes our side as loaded, and why newer files were refused.
func (s *Source) settle(o own, err error) {
	s.own, s.loaded = o, true
	if err == nil {
		s.err.Store(nil)
		return
	}
	if before := s.err.Swap(&err); before == nil || (*before).Error() != err.Error() {
		s.log.Warn("certificate files refused, the last good ones stay", "error", err)
	}
}

func (s *Source) snapshot(o own, c *config.Config, l lessons) (*Snapshot, error) {
	snapshot, err := newSnapshot(o, c.Peers, l, s.clock)
	if err == nil {
		snapshot.sights = s.sights
	}
	return snapshot, err
}

func (s *Source) publish(snapshot *Snapshot) {
	s.current.Store(snapshot)
	for _, f := range s.listeners {
		f(snapshot)
	}
}

// same tells whether two loads found the same certificates and CAs.
func same(a, b own) bool {
	x, y := a.credentials(), b.credentials()
	for i := range x {
		if !equalCerts(x[i].chain, y[i].chain) || !equalCerts(x[i].ca, y[i].ca) {
			return false
		}
	}
	return a.trustDomain == b.trustDomain && equalCerts(a.bundle, b.bundle)
}
