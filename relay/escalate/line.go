// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package escalate

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/notify"
)

const (
	// poll is how often a line is looked at though nobody woke it: other replicas take
	// messages, too, and clocks jump.
	poll = 5 * time.Second
	// pauseBetween two rounds, however often somebody wakes the line.
	pauseBetween = time.Second
)

// settings are what a line runs with.
type settings struct {
	hotline config.Hotline
	peer    config.Peer
	// since is when new messages began to be announced.
	since     time.Time
	notifiers map[string]notify.Notifier
}

// idle tells whether there is nothing to do.
func (s *settings) idle() bool { return len(s.hotline.Escalation) == 0 && len(s.hotline.Delivery) == 0 }

// line sees to one hotline: one goroutine that decides, and at most one for each
// notifier that tells.
type line struct {
	*Engine
	trustDomain string
	wake        chan struct{}

	mu     sync.Mutex // guards what follows
	conf   settings
	cancel context.CancelFunc
	// swept: notices of notifiers that are gone were given up since the last change.
	swept bool
	// busy are the notifiers that are being told, rested those that were and when.
	busy   map[string]bool
	rested map[string]time.Time
	// fresh says when the alerts of a notifier were told again.
	fresh map[string]time.Time
	// lost are the steps of the last round that could not be recorded, shouted says when each
	// of them was told.
	lost    []Due
	shouted map[string]time.Time
	// owed is, for each notifier, what became of a batch and could not be recorded yet.
	owed map[string]outcome
	// faults are why nothing can be decided (under "") or recorded (by notifier), for people.
	faults map[string]string
}

func newLine(e *Engine, trustDomain string) *line {
	return &line{
		Engine: e, trustDomain: trustDomain, wake: make(chan struct{}, 1), busy: map[string]bool{}, rested: map[string]time.Time{},
		fresh: map[string]time.Time{}, shouted: map[string]time.Time{}, owed: map[string]outcome{}, faults: map[string]string{},
	}
}

// apply takes new settings. Notifiers that are as they were stay.
func (l *line) apply(h config.Hotline, p config.Peer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.conf
	next := settings{hotline: h, peer: p, since: old.since, notifiers: map[string]notify.Notifier{}}
	if len(h.Delivery) == 0 {
		next.since = time.Time{}
	} else if old.since.IsZero() {
		next.since = l.cfg.Now()
	}
	kept := map[string]bool{}
	for _, n := range h.Notifiers {
		if there := find(old.hotline.Notifiers, n.Name); there != nil && old.notifiers[n.Name] != nil && reflect.DeepEqual(*there, n) {
			next.notifiers[n.Name], kept[n.Name] = old.notifiers[n.Name], true
			continue
		}
		made, err := l.cfg.Notifier(n)
		if err != nil { // the configuration was checked
			l.cfg.Log.Error("a notifier cannot be made", "hotline", h.Name, "notifier", n.Name, "error", err)
			continue
		}
		next.notifiers[n.Name] = made
	}
	for name, n := range old.notifiers {
		if !kept[name] {
			n.Close()
			delete(l.faults, name)
			delete(l.owed, name)
		}
	}
	if old.hotline.Name != h.Name {
		l.metrics.forget(old.hotline.Name)
	}
	l.conf, l.swept = next, false
	clear(l.rested)
	l.poke()
}

func find(list []config.Notifier, name string) *config.Notifier {
	for i := range list {
		if list[i].Name == name {
			return &list[i]
		}
	}
	return nil
}

func (l *line) settings() settings {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conf
}

func (l *line) setStop(cancel context.CancelFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel = cancel
}

// stop ends run, if it runs, and forgets what was said of the line.
func (l *line) stop() {
	l.mu.Lock()
	if l.cancel != nil {
		l.cancel()
	}
	l.mu.Unlock()
	l.metrics.forget(l.settings().hotline.Name)
	l.close()
}

func (l *line) close() {
	for _, n := range l.settings().notifiers {
		n.Close()
	}
}

func (l *line) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run decides and tells until ctx ends, and everybody who tells has ended.
func (l *line) run(ctx context.Context) {
	defer l.rest()
	var telling sync.WaitGroup
	defer telling.Wait()
	for ctx.Err() == nil {
		next := l.round(ctx, &telling)
		wait := poll
		if !next.IsZero() {
			wait = min(wait, max(0, next.Sub(l.cfg.Now())))
		}
		pause(ctx, pauseBetween, nil)
		pause(ctx, wait-pauseBetween, l.wake)
	}
}

// rest forgets what only the replica that escalates can know: another one does from now on.
func (l *line) rest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = nil
	clear(l.owed)
	clear(l.faults)
	l.metrics.rest(l.conf.hotline.Name)
}

// pause ends early when ctx does, or somebody wakes.
func pause(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-wake:
	}
}

// round does all that is due now, and returns when the next step is.
func (l *line) round(ctx context.Context, telling *sync.WaitGroup) time.Time {
	s := l.settings()
	next, err := l.decide(ctx, &s)
	if ctx.Err() != nil {
		return time.Time{}
	}
	l.note("", err)
	for name, n := range s.notifiers {
		l.tell(ctx, &s, name, n, telling)
	}
	return next
}

// note keeps why nothing can be decided (about is empty), or what a notifier was told cannot
// be recorded; nil when it can.
func (l *line) note(about string, err error) {
	text := ""
	if err != nil {
		text = forPeople(err)
	}
	l.mu.Lock()
	news := text != l.faults[about]
	if l.faults[about] = text; text == "" {
		delete(l.faults, about)
	}
	l.mu.Unlock()
	if news && text != "" {
		l.cfg.Log.Warn("an escalation cannot be decided or recorded", "peer", l.trustDomain, "error", text)
	}
	if news {
		l.cfg.Changed()
	}
}

// fault is the first of what is wrong with our own side, empty for nothing. l.mu is held.
func (l *line) fault() string {
	for _, about := range slices.Sorted(maps.Keys(l.faults)) {
		return l.faults[about]
	}
	return ""
}
