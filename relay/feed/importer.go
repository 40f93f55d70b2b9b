// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/taxii"
)

const (
	defaultInterval   = time.Minute
	defaultMaxObjects = 1_000_000
	// longestPause is that between two pulls while they fail, and longestAsked
	// what a server may ask for.
	longestPause = time.Minute
	longestAsked = 5 * time.Minute
)

// importer collects one collection of one peer.
type importer struct {
	*Engine
	conf config.Import
	peer config.Peer
	// before is the importer that this one replaces; it ends first.
	before *importer
	poke   chan struct{}
	ended  chan struct{} // closed when run has returned

	// The goroutine of run alone uses these.
	cursor   cursor
	location *taxii.Location

	mu     sync.Mutex // guards what follows
	cancel context.CancelFunc
	began  bool
	// now is the present state, shown what the report has of it.
	now, shown report.Import
	// looked is false until the store was asked what there is.
	looked  bool
	shownAt time.Time
}

func newImporter(e *Engine, conf config.Import, peer config.Peer, before *importer) *importer {
	i := &importer{Engine: e, conf: conf, peer: peer, before: before, poke: make(chan struct{}, 1), ended: make(chan struct{})}
	i.now.Name = conf.Name
	if before != nil {
		before.stop()
		before.mu.Lock()
		i.now.LastSuccess, i.now.Refused = before.now.LastSuccess, before.now.Refused
		before.mu.Unlock()
	}
	return i
}

// same tells whether an import need not be started anew.
func (i *importer) same(conf config.Import, peer config.Peer) bool {
	return reflect.DeepEqual(i.conf, conf) && i.peer.TrustDomain == peer.TrustDomain && i.peer.State == peer.State && i.peer.Name == peer.Name
}

func (i *importer) begin(cancel context.CancelFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.cancel, i.began = cancel, true
}

// stop ends the importer soon; one that has not begun never will.
func (i *importer) stop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.cancel != nil {
		i.cancel()
	}
}

// wake pulls at once.
func (i *importer) wake() {
	select {
	case i.poke <- struct{}{}:
	default:
	}
}

func (i *importer) interval() time.Duration {
	if i.conf.IntervalSeconds <= 0 {
		return defaultInterval
	}
	return time.Duration(i.conf.IntervalSeconds) * time.Second
}

func (i *importer) maxObjects() int64 {
	if i.conf.MaxObjects <= 0 {
		return defaultMaxObjects
	}
	return i.conf.MaxObjects
}

// run pulls until ctx ends. While feeds with the peer are suspended it only
// knows what there is.
func (i *importer) run(ctx context.Context) {
	defer close(i.ended)
	if !i.waitForOld(ctx) {
		return
	}
	failures := 0
	for ctx.Err() == nil {
		wait := i.interval()
		if err := i.once(ctx); err != nil {
			wait = max(retryPause(failures, longestPause), min(askedFor(err), longestAsked))
			failures++
		} else {
			failures = 0
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-i.poke:
			failures = 0
		}
		timer.Stop()
	}
}

// waitForOld lets two importers of one collection never run together.
func (i *importer) waitForOld(ctx context.Context) bool {
	old := i.before
	i.before = nil
	if old == nil {
		return true
	}
	old.mu.Lock()
	began := old.began
	old.mu.Unlock()
	if !began {
		return true
	}
	select {
	case <-old.ended:
		return true
	case <-ctx.Done():
		return false
	}
}

// once makes one pull and notes how it went.
func (i *importer) once(ctx context.Context) error {
	err := i.look(ctx)
	if err == nil && active(i.peer) {
		err = i.pull(ctx)
		i.count(ctx, err)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	i.note(err)
	return err
}

// look reads what there is, once.
func (i *importer) look(ctx context.Context) error {
	i.mu.Lock()
	looked := i.looked
	i.mu.Unlock()
	if looked {
		return nil
	}
	stored, err := i.cfg.Store.CountObjects(ctx, importName(i.conf.Name))
	if err != nil {
		return err
	}
	text, err := i.cfg.Store.Cursor(ctx, importName(i.conf.Name))
	if err != nil {
		return err
	}
	i.cursor = startAt(text, i.peer.TrustDomain, i.conf.Collection)
	i.mu.Lock()
	i.now.Stored, i.looked = stored, true
	i.mu.Unlock()
	return nil
}

func (i *importer) count(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
	case err != nil:
		i.metrics.pulls.WithLabelValues(i.conf.Name, "failure").Inc()
	default:
		i.metrics.pulls.WithLabelValues(i.conf.Name, "success").Inc()
		i.metrics.succeeded.WithLabelValues(i.conf.Name).Set(float64(i.cfg.Now().Unix()))
	}
}

// note keeps how a pull went, for the report.
func (i *importer) note(err error) {
	i.mu.Lock()
	if err == nil {
		i.now.Failing, i.now.Error = time.Time{}, ""
		if active(i.peer) {
			i.now.LastSuccess = i.cfg.Now().UTC().Truncate(time.Minute)
		}
	} else {
		if i.now.Failing.IsZero() {
			i.now.Failing = i.cfg.Now().UTC().Truncate(time.Second)
		}
		text := explain(i.peer, i.conf.Collection, err)
		if text != i.now.Error {
			i.cfg.Log.Warn("pulling an import failed", "feed", i.conf.Name, "peer", i.peer.Name, "error", err)
		}
		i.now.Error = text
	}
	i.mu.Unlock()
	i.show(true)
}

// show gives the present state to the report: always when a pull has ended, else
// now and then.
func (i *importer) show(ended bool) {
	now := i.cfg.Now()
	i.mu.Lock()
	due := ended || now.Sub(i.shownAt) >= showEvery
	changed := due && i.shown != i.now
	if due {
		i.shown, i.shownAt = i.now, now
	}
	i.mu.Unlock()
	if changed {
		i.cfg.Changed()
	}
}

// askedFor is how long a server asked to wait.
func askedFor(err error) time.Duration {
	if told, ok := errors.AsType[*taxii.ProtocolError](err); ok {
		return told.RetryAfter
	}
	return 0
}

// ReportImports returns the state of each import. One that was not looked at yet
// is absent.
func (e *Engine) ReportImports(context.Context) ([]report.Import, error) {
	var list []report.Import
	for _, i := range e.importers() {
		i.mu.Lock()
		if i.shown.Name != "" {
			list = append(list, i.shown)
		}
		i.mu.Unlock()
	}
	slices.SortFunc(list, func(a, b report.Import) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}
