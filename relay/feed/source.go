// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"encoding/json"
	"reflect"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/remote"
	"github.com/certlink/certlink/relay/report"
)

const (
	defaultSourceInterval   = config.DefaultSourceIntervalSeconds * time.Second
	defaultSourceMaxObjects = config.DefaultSourceMaxObjects
)

// fetcher fills one source of an export.
type fetcher struct {
	*puller
	export string
	conf   config.PulledSource
	origin origin
	// sum is that of the files which the source depends on; watchFiles alone uses it.
	sum string
}

// origin is where the objects of a source come from. Its methods are called by one
// goroutine.
type origin interface {
	// resume is told where the pulls before have come to.
	resume(state string)
	// pull is that of an errand. The state that it gives is kept through mark.
	pull(ctx context.Context, in *intake) error
	// from names the origin for people: a host, or files.
	from() string
}

// newFetcher makes the fetcher of a source whose Pull is set.
func newFetcher(e *Engine, export string, s config.Source, old *fetcher) *fetcher {
	var before *puller
	if old != nil {
		before = old.puller
	}
	f := &fetcher{
		puller: newPuller(e, s.Name, sourceName(export, s.Name), before), export: export, conf: *s.Pull,
	}
	f.errand, f.counts, f.fetched = f, e.metrics.ofSource(export, s.Name), true
	f.interval = secondsOr(s.Pull.IntervalSeconds, defaultSourceInterval)
	f.quota = orDefault(s.Pull.MaxObjects, defaultSourceMaxObjects)
	opts := remote.Options{Version: e.cfg.Version, Log: e.cfg.Log}
	switch {
	case s.Pull.TAXII != nil:
		f.origin = &taxiiOrigin{conf: *s.Pull.TAXII, opts: opts, stored: f.stored}
	case s.Pull.STIX != nil:
		f.origin = &stixOrigin{conf: *s.Pull.STIX, opts: opts}
	case s.Pull.MISP != nil:
		f.origin = &mispOrigin{conf: *s.Pull.MISP, opts: opts}
	default:
		f.origin = &fileOrigin{names: s.Pull.Files}
	}
	return f
}

func (f *fetcher) paused() bool { return false }

func (f *fetcher) resume(cursor string) { f.origin.resume(cursor) }

func (f *fetcher) pull(ctx context.Context, in *intake) error { return f.origin.pull(ctx, in) }

func (f *fetcher) from() string { return f.origin.from() }

func (f *fetcher) explain(err error) string { return explainOrigin(f.origin.from(), err) }

// mark is the cursor of an origin that has no other: whose it is, and its state. One
// of another origin is none.
type mark struct {
	// Of names kind and place of the origin.
	Of    string `json:"of"`
	State string `json:"state"`
}

func marked(of, state string) string {
	text, err := json.Marshal(mark{Of: of, State: state})
	if err != nil {
		return ""
	}
	return string(text)
}

func unmark(of, stored string) string {
	var m mark
	if json.Unmarshal([]byte(stored), &m) != nil || m.Of != of {
		return ""
	}
	return m.State
}

// applySources keeps the sources that are as they were, and replaces the others. One
// that fails is tried at once: the new configuration may have mended it.
func (e *Engine) applySources(c *config.Config) {
	type key struct{ export, source string }
	before := map[key]*fetcher{}
	for _, f := range e.fetchers {
		before[key{f.export, f.name}] = f
	}
	e.fetchers = nil
	for _, x := range c.Exports {
		for _, s := range x.Sources {
			if s.Pull == nil {
				continue
			}
			k := key{x.Name, s.Name}
			old := before[k]
			delete(before, k)
			if old != nil && reflect.DeepEqual(old.conf, *s.Pull) {
				if old.failing() {
					old.wake()
				}
				e.fetchers = append(e.fetchers, old)
				continue
			}
			f := newFetcher(e, x.Name, s, old)
			if e.start != nil {
				e.start(f.puller)
			}
			e.fetchers = append(e.fetchers, f)
		}
	}
	for k, gone := range before {
		gone.stop()
		e.metrics.forgetSource(k.export, k.source)
	}
}

// reportSources returns the state of the fetched sources of an export, in the order
// of the configuration. One that was not looked at yet is absent.
func (e *Engine) reportSources(export string) []report.Source {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []report.Source
	for _, f := range e.fetchers {
		if f.export != export {
			continue
		}
		if shown, ok := f.reported(); ok {
			list = append(list, report.Source(shown))
		}
	}
	return list
}
