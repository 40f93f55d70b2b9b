// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/stix"
	"github.com/certlink/certlink/relay/store"
)

// saveProgressEvery is the longest time for which progress is in memory alone. A crash
// loses as much of it: then what was sent shows as handed out.
const saveProgressEvery = time.Second

// journey is one page on its way to a peer.
type journey struct {
	feed, peer string
	// from and to are the positions that the page covers; to is 0 for a page that says
	// nothing about what was sent.
	from, to int64
}

type journeyKey struct{}

// advance keeps how far peers have come until it is saved. All its methods may be
// called concurrently.
type advance struct {
	*Engine
	poke chan struct{}

	mu      sync.Mutex // guards what follows
	byView  map[[2]string]*store.Progress
	unsaved map[[2]string]bool
}

func newAdvance(e *Engine) *advance {
	return &advance{Engine: e, poke: make(chan struct{}, 1), byView: map[[2]string]*store.Progress{}, unsaved: map[[2]string]bool{}}
}

// watch notes which pages were written to their ends.
func (a *advance) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		j := &journey{}
		out := &watched{ResponseWriter: w}
		next.ServeHTTP(out, r.WithContext(context.WithValue(r.Context(), journeyKey{}, j)))
		if j.to > 0 && out.err == nil && (out.status == 0 || out.status == http.StatusOK) && r.Context().Err() == nil {
			a.sent(j)
		}
	})
}

// watched is a response that knows whether it was written.
type watched struct {
	http.ResponseWriter
	status int
	err    error
}

func (w *watched) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *watched) Write(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b)
	if err != nil {
		w.err = err
	}
	return n, err
}

// Unwrap lets http.ResponseController through.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// asked notes what a request for a page tells: the peer has what lies before it.
func (a *advance) asked(ctx context.Context, v store.View, q store.Query, page store.Page) error {
	j, ok := ctx.Value(journeyKey{}).(*journey)
	if !ok || q.NoContent || !whole(q) {
		return nil
	}
	from := max(q.After, microsOf(q.AddedAfter))
	if err := a.load(ctx, v); err != nil {
		return err
	}
	a.mu.Lock()
	p := a.byView[[2]string{v.Feed, v.Peer}]
	if from > p.ReceivedTo && from <= p.SentTo {
		p.ReceivedTo, p.ReceivedAt = from, a.cfg.Now().UTC()
		a.save(v.Feed, v.Peer)
	}
	a.mu.Unlock()
	j.feed, j.peer, j.from = v.Feed, v.Peer, from
	if n := len(page.Records); n > 0 {
		j.to = page.Records[n-1].DateAdded.UnixMicro()
	}
	return nil
}

// whole tells whether a query asks for all that there is.
func whole(q store.Query) bool {
	specs := len(q.Specs) == 0 && !q.NewestSpec
	for _, s := range q.Specs {
		// Both that there are.
		specs = specs || s == stix.Spec20 && len(q.Specs) > 1
	}
	return len(q.IDs) == 0 && len(q.Types) == 0 && q.Versions.All() && specs
}

func (a *advance) load(ctx context.Context, v store.View) error {
	key := [2]string{v.Feed, v.Peer}
	a.mu.Lock()
	known := a.byView[key] != nil
	a.mu.Unlock()
	if known {
		return nil
	}
	p, err := a.cfg.Store.Progress(ctx, v.Feed, v.Peer)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.byView[key] == nil {
		a.byView[key] = &p
	}
	return nil
}

// sent notes a page that was written to its end. One that leaves out something between
// what was sent before and itself does not count.
func (a *advance) sent(j *journey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.byView[[2]string{j.feed, j.peer}]
	if p == nil || j.from > p.SentTo || j.to <= p.SentTo {
		return
	}
	p.SentTo, p.SentAt = j.to, a.cfg.Now().UTC()
	a.save(j.feed, j.peer)
}

// save has progress saved soon. mu is held.
func (a *advance) save(feed, peer string) {
	a.unsaved[[2]string{feed, peer}] = true
	select {
	case a.poke <- struct{}{}:
	default:
	}
}

// current is the progress of a peer, with what is not saved yet.
func (a *advance) current(ctx context.Context, feed, peer string) (store.Progress, error) {
	p, err := a.cfg.Store.Progress(ctx, feed, peer)
	if err != nil {
		return p, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if known := a.byView[[2]string{feed, peer}]; known != nil {
		if known.SentTo > p.SentTo {
			p.SentTo, p.SentAt = known.SentTo, known.SentAt
		}
		if known.ReceivedTo > p.ReceivedTo {
			p.ReceivedTo, p.ReceivedAt = known.ReceivedTo, known.ReceivedAt
		}
	}
	return p, nil
}

// run saves progress now and then until ctx ends, and once more then.
func (a *advance) run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-a.poke:
			timer := time.NewTimer(saveProgressEvery)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
			timer.Stop()
			a.flush(ctx)
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveProgressEvery)
	defer cancel()
	a.flush(last)
}

func (a *advance) flush(ctx context.Context) {
	a.mu.Lock()
	due := map[[2]string]store.Progress{}
	for key := range a.unsaved {
		due[key] = *a.byView[key]
	}
	clear(a.unsaved)
	a.mu.Unlock()
	for key, p := range due {
		p.Receipt = nil
		if err := a.cfg.Store.SetProgress(ctx, key[0], key[1], p, nil); err != nil {
			a.mu.Lock()
			a.unsaved[key] = true // with what comes next
			a.mu.Unlock()
			a.cfg.Log.Warn("saving what was sent of an export failed", "feed", key[0], "peer", key[1], "error", err)
		}
	}
}

func microsOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}
