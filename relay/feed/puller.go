// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/lease"
	"github.com/certlink/certlink/relay/remote"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/taxii"
)

const (
	// longestPause is that between two pulls while they fail, and longestAsked
	// what a server may ask for.
	longestPause = time.Minute
	longestAsked = 5 * time.Minute
)

// errand is what a puller is sent for. Its methods are called by one goroutine.
type errand interface {
	// paused: nothing may be pulled at present.
	paused() bool
	// resume is told how far the pulls before have come, the stored cursor: at first, and
	// when what is stored is looked at anew.
	resume(cursor string)
	// pull brings what is new. A cursor is given to the intake with the last objects
	// before it, and not before these.
	pull(ctx context.Context, in *intake) error
	// explain says in one line what is wrong with a pull, on which side, and what to
	// do; the same fault in the same words.
	explain(err error) string
}

// puller pulls into one collection of the store, again and again.
type puller struct {
	*Engine
	errand errand
	// name is that of the import, or of the source in its export.
	name string
	// stored is the name of the collection in the store.
	stored string
	// peer sends the objects, by name; empty if they are ours.
	peer     string
	interval time.Duration
	quota    int64
	// fetched: it is a source of an export, so what comes in must be decided about.
	fetched bool
	counts  pullCounts
	// before is the puller that this one replaces; it ends first.
	before *puller
	poke   chan struct{}
	ended  chan struct{} // closed when run has returned

	mu     sync.Mutex // guards what follows
	cancel context.CancelFunc
	began  bool
	// now is the present state, shown what the report has of it.
	now, shown report.Import
	progress   progress
	// leads: this replica pulls. told is what it has told the others, used by run alone.
	leads bool
	told  lease.Told
	// looked is false until the store was asked what there is.
	looked  bool
	shownAt time.Time
}

// newPuller takes over from before, which may be nil.
func newPuller(e *Engine, name, stored string, before *puller) *puller {
	p := &puller{Engine: e, name: name, stored: stored, before: before, poke: make(chan struct{}, 1), ended: make(chan struct{})}
	p.now.Name = name
	if before != nil {
		before.stop()
		before.mu.Lock()
		p.now.LastSuccess, p.now.Refused = before.now.LastSuccess, before.now.Refused
		before.mu.Unlock()
	}
	return p
}

func (p *puller) begin(cancel context.CancelFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cancel, p.began = cancel, true
}

// stop ends the puller soon; one that has not begun never will.
func (p *puller) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cancel != nil {
		p.cancel()
	}
}

// wake pulls at once.
func (p *puller) wake() {
	select {
	case p.poke <- struct{}{}:
	default:
	}
}

// run pulls until ctx ends. While the errand is paused it only knows what there is.
func (p *puller) run(ctx context.Context) {
	defer close(p.ended)
	if !p.waitForOld(ctx) {
		return
	}
	p.cfg.Lead(ctx, pullLease+p.stored, p.pulls)
}

// pulls goes on until ctx ends. It begins where the store is: another replica of this
// relay may have pulled before.
func (p *puller) pulls(ctx context.Context) {
	p.lead(true)
	defer p.lead(false)
	failures := 0
	for ctx.Err() == nil {
		wait := p.interval
		if err := p.once(ctx); err != nil {
			wait = max(retryPause(failures, longestPause), min(askedFor(err), longestAsked))
			failures++
		} else {
			failures = 0
		}
		p.tell(ctx)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-p.poke:
			failures = 0
		}
		timer.Stop()
	}
}

// lead notes that this replica pulls, or no longer does.
func (p *puller) lead(now bool) {
	if others, ok := p.ofOthers(); now && ok {
		p.mu.Lock()
		p.now.LastSuccess = others.LastSuccess
		p.now.Refused, p.now.Withdrawn = max(p.now.Refused, others.Refused), max(p.now.Withdrawn, others.Withdrawn)
		p.mu.Unlock()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leads, p.looked = now, false
}

// waitForOld lets two pullers of one collection never run together.
func (p *puller) waitForOld(ctx context.Context) bool {
	old := p.before
	p.before = nil
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
func (p *puller) once(ctx context.Context) error {
	var missed *missedError
	err := p.look(ctx)
	paused := p.errand.paused()
	if err == nil && !paused {
		p.start()
		err = p.errand.pull(ctx, &intake{puller: p})
		full := errors.Is(err, errQuota)
		if full {
			err = nil
		}
		if errors.As(err, &missed) {
			err = nil
		}
		p.finish(full, err)
		p.count(ctx, err)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	p.note(err, missed, paused)
	return err
}

// look reads what there is, once.
func (p *puller) look(ctx context.Context) error {
	p.mu.Lock()
	looked := p.looked
	p.mu.Unlock()
	if looked {
		return nil
	}
	stored, err := p.cfg.Store.CountObjects(ctx, p.stored)
	if err != nil {
		return err
	}
	text, err := p.cfg.Store.Cursor(ctx, p.stored)
	if err != nil {
		return err
	}
	if err := p.countQuarantine(ctx); err != nil {
		return err
	}
	p.errand.resume(text)
	p.mu.Lock()
	p.now.Stored, p.looked = stored, true
	p.mu.Unlock()
	return nil
}

// start and finish are the ends of a pull.
func (p *puller) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.progress = progress{started: p.cfg.Now().UTC()}
}

func (p *puller) finish(full bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.progress = progress{}
	if err == nil {
		p.now.QuotaReached = full
	}
}

func (p *puller) count(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
	case err != nil:
		p.counts.pulls.WithLabelValues("failure").Inc()
	default:
		p.counts.pulls.WithLabelValues("success").Inc()
		p.counts.succeeded.Set(float64(p.cfg.Now().Unix()))
	}
}

// note keeps how a pull went, for the report: one that missed something has succeeded, and
// says what all the same.
func (p *puller) note(err error, missed *missedError, paused bool) {
	p.mu.Lock()
	if err == nil {
		p.now.Failing = time.Time{}
		if !paused {
			p.now.LastSuccess = p.cfg.Now().UTC().Truncate(time.Minute)
		}
	} else if p.now.Failing.IsZero() {
		p.now.Failing = p.cfg.Now().UTC().Truncate(time.Second)
	}
	if err == nil && missed != nil {
		err = missed
	}
	text := ""
	if err != nil {
		text = p.errand.explain(err)
	}
	if err != nil && text != p.now.Error {
		p.cfg.Log.Warn("pulling failed", "collection", p.stored, "error", err)
	}
	p.now.Error = text
	p.mu.Unlock()
	p.show(true)
}

// failing tells whether the last pull failed.
func (p *puller) failing() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.now.Failing.IsZero()
}

// show gives the present state to the report: always when a pull has ended, else
// now and then.
func (p *puller) show(ended bool) {
	now := p.cfg.Now()
	p.mu.Lock()
	due := ended || now.Sub(p.shownAt) >= showEvery
	p.now.Progress = p.progress.forReport(now)
	changed := due && p.shown != p.now
	if due {
		p.shown, p.shownAt = p.now, now
	}
	p.mu.Unlock()
	if changed {
		p.cfg.Changed()
	}
}

// reported is what the report has; false if nothing was looked at yet.
func (p *puller) reported() (report.Import, bool) {
	others, told := p.ofOthers()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.leads && told {
		return others, true
	}
	return p.shown, p.shown.Name != ""
}

// askedFor is how long a server asked to wait.
func askedFor(err error) time.Duration {
	if told, ok := errors.AsType[*taxii.ProtocolError](err); ok {
		return told.RetryAfter
	}
	if told, ok := errors.AsType[*remote.StatusError](err); ok {
		return told.RetryAfter
	}
	return 0
}
