// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package deliver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/certlink/certlink/relay/remote"
	"github.com/certlink/certlink/relay/report"
	"github.com/certlink/certlink/relay/store"
	"github.com/certlink/certlink/relay/taxii"
)

const (
	// showEvery is how often moving numbers go into the report.
	showEvery = 10 * time.Second
	// mostWaiting is how far waiting objects are counted.
	mostWaiting = 100_000
)

// know takes the stored state.
func (w *worker) know(d store.Delivery) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state, w.looked = d, true
}

// note keeps how it went, for the report.
func (w *worker) note(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	text := explain(err)
	w.mu.Lock()
	news := text != w.fault
	if news && text != "" {
		w.cfg.Log.WarnContext(ctx, "a delivery fails", "feed", w.feed, "delivery", w.conf.Name, "error", text)
	}
	if w.fault = text; text == "" {
		w.since = time.Time{}
	} else if w.since.IsZero() {
		w.since = w.cfg.Now().UTC().Truncate(time.Second)
	}
	w.mu.Unlock()
	if vain, ok := errors.AsType[*vainError](err); err != nil && (!ok || vain.sent) {
		w.metrics.attempts.WithLabelValues(w.feed, w.conf.Name, "failure").Inc()
	}
	w.show(ctx, news)
}

// show gives the state to the report: at once when it is news, else now and then.
func (w *worker) show(ctx context.Context, news bool) {
	now := w.cfg.Now()
	w.mu.Lock()
	if !w.looked || !news && now.Sub(w.at) < showEvery && w.shown.Dead == w.state.Dead {
		w.mu.Unlock()
		return
	}
	state := w.state
	next := report.Delivery{Import: w.feed, Name: w.conf.Name, Delivered: state.Delivered, Dead: state.Dead, Error: w.fault, Failing: w.since}
	w.mu.Unlock()
	waiting, err := w.cfg.Store.Waiting(ctx, w.collection, state.Position, mostWaiting)
	if err != nil {
		return // the next round says what is wrong with the store
	}
	next.Waiting = waiting
	w.metrics.waiting.WithLabelValues(w.feed, w.conf.Name).Set(float64(waiting))
	w.metrics.dead.WithLabelValues(w.feed, w.conf.Name).Set(float64(state.Dead))
	w.mu.Lock()
	changed := w.shown != next
	w.shown, w.at = next, now
	w.mu.Unlock()
	if changed {
		w.cfg.Changed()
	}
}

// reported is what the report has: of a delivery that another replica makes, what that one tells.
func (w *worker) reported() (report.Delivery, bool) {
	others, told := w.ofOthers()
	w.mu.Lock()
	leads := w.leads
	w.mu.Unlock()
	if !leads && told {
		return others, true
	}
	return w.report()
}

// report returns what was last shown; false before the store was asked.
func (w *worker) report() (report.Delivery, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.shown, w.shown.Name != ""
}

// count counts a batch that was handed over.
func (w *worker) count(all int, dead []store.DeadLetter) {
	w.metrics.attempts.WithLabelValues(w.feed, w.conf.Name, "success").Inc()
	w.metrics.objects.WithLabelValues(w.feed, w.conf.Name, "delivered").Add(float64(all - len(dead)))
	w.metrics.objects.WithLabelValues(w.feed, w.conf.Name, "dead").Add(float64(len(dead)))
	if len(dead) > 0 {
		w.cfg.Log.Warn("objects became dead letters", "feed", w.feed, "delivery", w.conf.Name, "objects", len(dead), "reason", dead[0].Reason)
	}
}

// explain says in one line what is wrong and what to do, in the same words for the same fault: what differs from
// attempt to attempt, such as a port or a count, would change the status each time.
func explain(err error) string {
	if err == nil {
		return ""
	}
	if vain, ok := errors.AsType[*vainError](err); ok && vain.slow {
		return explain(vain.last) + ". Until it takes some, it gets each batch once, with pauses of up to 5 minutes"
	}
	if told, ok := errors.AsType[*taxii.ProtocolError](err); ok {
		return "the server answers " + told.Error()
	}
	if doubt, ok := errors.AsType[*doubtError](err); ok {
		return doubt.what.Error() + mayBeThere + ": see what the server has, and mend it"
	}
	if errors.Is(err, errServer) || errors.Is(err, taxii.ErrNoCollection) || errors.Is(err, taxii.ErrNotTAXII) || isStoreError(err) {
		return remote.Clean(err).Error()
	}
	return remote.Explain(err)
}

const mayBeThere = "; what was sent may be stored there all the same"

// why says of a dead letter what the server answered, and how much was tried.
func why(err error) string {
	text := explain(err)
	if doubt, ok := errors.AsType[*doubtError](err); ok {
		text = doubt.Error() + mayBeThere
	}
	if vain, ok := errors.AsType[*vainError](err); ok {
		text += fmt.Sprintf("; the batch was given up after %d requests", vain.posts)
	}
	return text
}

func isStoreError(err error) bool {
	return errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict)
}

// askedFor is how long the other side asked to wait.
func askedFor(err error) time.Duration {
	if told, ok := errors.AsType[*remote.StatusError](err); ok {
		return told.RetryAfter
	}
	if told, ok := errors.AsType[*taxii.ProtocolError](err); ok {
		return told.RetryAfter
	}
	return 0
}
