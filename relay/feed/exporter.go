// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/rule"
	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

const (
	// decideAtOnce is the number of records in one transaction of decisions.
	decideAtOnce = 2000
	// lookAgain is how often the exporter looks though nobody has woken it.
	lookAgain = 30 * time.Second
	// showEvery is the shortest time between two looks at the counts while there is work.
	showEvery = 2 * time.Second
	// maxDefinitions bounds the statement markings of an export. Those beyond it
	// are unknown, and what they mark stays.
	maxDefinitions = 10_000
)

// exporter decides, in the replica that leads. One goroutine does it for all exports, in
// small turns, so that a large feed does not hold up a small one.
type exporter struct {
	*Engine
	poke chan struct{}
	// heard: another replica may have changed what the policies are made from.
	heard atomic.Bool

	busy sync.Mutex // held for a round; guards leading
	// leading gives the context to decide under; nil while another replica decides.
	leading func() context.Context

	mu     sync.Mutex // guards what follows
	counts map[*export]report.Export
}

func newExporter(e *Engine) *exporter {
	return &exporter{Engine: e, poke: make(chan struct{}, 1), counts: map[*export]report.Export{}}
}

// wake makes the exporter look for undecided records.
func (x *exporter) wake() {
	select {
	case x.poke <- struct{}{}:
	default:
	}
}

func (x *exporter) run(ctx context.Context) {
	var leading sync.WaitGroup
	leading.Go(func() { x.cfg.Lead(ctx, decideLease, x.lead) })
	defer leading.Wait()
	again := 0 // looks since all was well and decided
	for ctx.Err() == nil {
		wait := lookAgain
		if ok, watch := x.round(ctx); ok && !watch {
			again = 0
		} else {
			wait = retryPause(again, lookAgain)
			again++
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-x.poke:
		}
		timer.Stop()
	}
}

// pass decides all that is undecided, one turn of each view after the other, and
// looks at the counts. It tells whether all went well.
func (x *exporter) pass(ctx context.Context) bool {
	shown := x.cfg.Now()
	failed := x.hear(ctx, x.live.Load())
	for work := true; work && ctx.Err() == nil; {
		work = false
		p := x.live.Load()
		for _, e := range p.exports {
			if failed[e] != nil {
				continue
			}
			more, err := x.turn(ctx, p, e)
			if errors.Is(err, store.ErrFenced) {
				return true // another replica decides now, and this one will know soon
			}
			if err != nil {
				failed[e] = err
			}
			work = work || more
		}
		if work && x.cfg.Now().Sub(shown) >= showEvery {
			x.show(ctx, failed)
			shown = x.cfg.Now()
		}
	}
	if ctx.Err() == nil {
		x.show(ctx, failed)
	}
	return len(failed) == 0
}

// turn decides one batch for each reader of an export. It tells whether there
// may be more to do.
func (x *exporter) turn(ctx context.Context, p *plan, e *export) (more bool, err error) {
	if e.current() == nil {
		if _, err := x.learn(ctx, e); err != nil {
			return false, err
		}
	}
	if err := x.relate(ctx, e); err != nil {
		return false, err
	}
	for _, reader := range p.readers(e) {
		again, err := x.decide(ctx, e, reader)
		if err != nil {
			return false, err
		}
		more = more || again
	}
	return more, nil
}

// unseen tells whether a record is a marking definition that the policy has not
// seen.
func (e *export) unseen(r store.Record) bool {
	_, seen := e.definitions[r.Seq]
	return r.Type == stix.TypeMarkingDefinition && !seen
}

// learn makes the policy anew from the marking definitions in the sources, and
// tells whether it differs from the last.
func (x *exporter) learn(ctx context.Context, e *export) (changed bool, err error) {
	forgotten := e.forgotten.Load()
	clear(e.definitions)
	statements := map[string]bool{}
	for _, name := range e.stored {
		if err := x.readDefinitions(ctx, e, name, statements); err != nil {
			return false, err
		}
	}
	var plain []string
	for id, ok := range statements {
		if ok {
			plain = append(plain, id)
		}
	}
	policy, err := rule.NewPolicy(e.Rule, e.Sources, plain)
	if err != nil {
		return false, err
	}
	slices.Sort(plain)
	e.statements.Store(&plain)
	old := e.policy.Swap(policy)
	e.learned.Store(forgotten)
	return old == nil || old.Hash() != policy.Hash(), nil
}

// readDefinitions notes the marking definitions of a source. An identifier is
// one of a statement only if every version of it is.
func (x *exporter) readDefinitions(ctx context.Context, e *export, source string, statements map[string]bool) error {
	q := store.Query{Types: []string{stix.TypeMarkingDefinition}, Limit: 1000}
	for {
		page, err := x.cfg.Store.ListObjects(ctx, source, q)
		if err != nil {
			return err
		}
		for _, r := range page.Records {
			if len(e.definitions) < maxDefinitions {
				e.definitions[r.Seq] = r.ID
			}
			o, err := stix.Parse(r.Raw)
			plain, known := statements[r.ID]
			switch {
			case known:
				statements[r.ID] = plain && err == nil && o.Statement
			case len(statements) < maxDefinitions:
				statements[r.ID] = err == nil && o.Statement
			}
		}
		if n := len(page.Records); n > 0 {
			e.defined[source] = page.Records[n-1].Seq
		}
		if page.Next == 0 {
			return nil
		}
		q.After, e.defined[source] = page.Next, page.Next
	}
}

// retryPause doubles from one second to longest, less up to a quarter of jitter.
func retryPause(failures int, longest time.Duration) time.Duration {
	d := min(longest, time.Second<<min(failures, 20))
	return d - rand.N(d/4)
}
