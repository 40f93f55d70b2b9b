// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/certlink/certlink/internal/filewatch"
	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
)

// rereadEvery is how often the file is read without an event.
const rereadEvery = time.Second

// live keeps the configuration that is live, and the last good one when the file
// turns bad.
type live struct {
	file string

	mu      sync.Mutex // guards what follows
	current *config.Config
	state   report.ConfigState
}

func newLive(file string, cfg *config.Config, checksum string) *live {
	return &live{file: file, current: cfg, state: report.ConfigState{Checksum: checksum}}
}

// State says which configuration is live.
func (l *live) State() report.ConfigState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

func (l *live) config() *config.Config {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current
}

// watch reads the file again when it changes, and gives apply what is new.
func (l *live) watch(ctx context.Context, log *slog.Logger, apply func(*config.Config) error, changed func()) error {
	return filewatch.Run(ctx, filewatch.Config{
		Files: func() []string { return []string{l.file} },
		Every: rereadEvery,
		Changed: func() {
			if l.reread(log, apply) {
				changed()
			}
		},
		Log: log,
	})
}

// reread makes the file live, or notes why it is not. It tells whether the state
// is another one. Without apply nothing runs by the configuration yet, and the store may be another one.
func (l *live) reread(log *slog.Logger, apply func(*config.Config) error) bool {
	before := l.State()
	next := report.ConfigState{Checksum: before.Checksum}
	data, err := readConfig(l.file)
	if err == nil {
		next.RejectedChecksum = config.Checksum(data)
		if next.RejectedChecksum == before.Checksum {
			next.RejectedChecksum = ""
			return l.settle(l.config(), next, before)
		}
		var cfg *config.Config
		if cfg, err = l.accept(data, apply); err == nil {
			log.Info("configuration is live", "checksum", config.Checksum(data), "peers", len(cfg.Peers))
			return l.settle(cfg, report.ConfigState{Checksum: config.Checksum(data)}, before)
		}
	}
	next.Error = err.Error()
	changed := l.settle(l.config(), next, before)
	if changed { // not each time that it is read
		log.Warn("configuration refused, the last good one stays", "error", err)
	}
	return changed
}

func (l *live) settle(cfg *config.Config, next, before report.ConfigState) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current, l.state = cfg, next
	return next != before
}

// accept decodes a configuration and applies it.
func (l *live) accept(data []byte, apply func(*config.Config) error) (*config.Config, error) {
	cfg, err := config.Decode(data)
	if err != nil {
		return nil, err
	}
	now := l.config()
	var errs []error
	if cfg.Identity.TrustDomain != now.Identity.TrustDomain {
		errs = append(errs, fmt.Errorf("identity.trustDomain: is %q while the relay runs; start another relay for another CERT", now.Identity.TrustDomain))
	}
	if cfg.Listen != now.Listen {
		errs = append(errs, errors.New("listen: cannot change while the relay runs; start it again"))
	}
	if apply != nil && !cfg.Store.Same(now.Store) {
		errs = append(errs, errors.New("store: cannot change while the relay runs; start it again"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if apply == nil {
		return cfg, nil
	}
	return cfg, apply(cfg)
}
