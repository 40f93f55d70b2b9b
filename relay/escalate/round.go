// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package escalate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/hotline"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/notify"
	"github.com/certlink/certlink/relay/store"
)

// The acts of this package in our journal, see docs/journal.md.
const (
	ActEscalated = "ESCALATED"
	ActSettled   = "ESCALATION_SETTLED"
	ActNotified  = "NOTIFIED"
	ActGivenUp   = "NOTIFICATION_GIVEN_UP"
	ActTested    = "NOTIFIER_TESTED"
)

const (
	// maxAtOnce is the largest number of steps of one round. The next round follows soon.
	maxAtOnce = 256
	// together is how many are recorded at the same time: they share transactions.
	together = 32
)

// decide records what is due, and what is over. It returns when the next step is due.
func (l *line) decide(ctx context.Context, s *settings) (time.Time, error) {
	var errs []error
	if err := l.sweep(ctx, s); err != nil {
		errs = append(errs, err)
	}
	if err := l.announce(ctx, s); err != nil {
		errs = append(errs, err)
	}
	taken, err := l.open(ctx)
	if err != nil {
		return time.Time{}, errors.Join(append(errs, err)...)
	}
	l.metrics.show(s.hotline.Name, taken)
	if len(s.hotline.Escalation) == 0 && len(taken) == 0 {
		return time.Time{}, errors.Join(errs...)
	}
	situations, err := l.cfg.Line.Situations(ctx, l.trustDomain)
	if err != nil {
		return time.Time{}, errors.Join(append(errs, err)...)
	}
	now := l.cfg.Now()
	due, next := Decide(now, s.hotline.Escalation, situations, taken)
	if len(due) > maxAtOnce {
		due, next = due[:maxAtOnce], now
	}
	errs = append(errs, l.takeAll(ctx, s, due, now))
	errs = append(errs, each(over(situations, taken), func(e store.Escalation) error { return l.settle(ctx, e) }))
	return next, errors.Join(errs...)
}

// maxOpenPages bounds how many open steps are looked at: all that a ladder can take of the messages
// that are watched, and as many of those that others have displaced since.
const maxOpenPages = 32

// open are the steps that were taken and are not settled.
func (l *line) open(ctx context.Context) (all []store.Escalation, err error) {
	var last store.Escalation
	for range maxOpenPages {
		page, err := l.cfg.Store.OpenEscalations(ctx, l.trustDomain, last, store.MaxRecords)
		if err != nil {
			return nil, err
		}
		if all = append(all, page...); len(page) < store.MaxRecords {
			break
		}
		last = page[len(page)-1]
	}
	return all, nil
}

// takeAll does step 1 for all. What could not be recorded is told all the same, see shout.
func (l *line) takeAll(ctx context.Context, s *settings, due []Due, now time.Time) error {
	lost := make([]bool, len(due))
	err := each(indexes(due), func(i int) error {
		err := l.take(ctx, s, due[i], now)
		lost[i] = err != nil
		return err
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = nil
	for i, d := range due {
		if lost[i] {
			l.lost = append(l.lost, d)
		}
	}
	return err
}

func indexes[T any](list []T) []int {
	out := make([]int, len(list))
	for i := range list {
		out[i] = i
	}
	return out
}

// each does something for all, some of them at the same time, and returns one error.
func each[T any](list []T, do func(T) error) error {
	var mu sync.Mutex
	var first error
	var running sync.WaitGroup
	free := make(chan struct{}, together)
	for _, one := range list {
		free <- struct{}{}
		running.Go(func() {
			defer func() { <-free }()
			if err := do(one); err != nil {
				mu.Lock()
				defer mu.Unlock()
				if first == nil {
					first = err
				}
			}
		})
	}
	running.Wait()
	return first
}

// unfenced keeps the end of a context and nothing else: a transaction that we share with
// others must not fail them because our lease is gone. TakeStep lets nobody take a step
// twice.
type unfenced struct{ context.Context }

// Value implements context.Context.
func (unfenced) Value(any) any { return nil }

// take does step 1, see the package comment.
func (l *line) take(ctx context.Context, s *settings, d Due, now time.Time) error {
	e := store.Escalation{
		Direction: d.Direction, Message: d.Message, Stage: string(d.Stage), Step: d.Step.Name, Taken: d.Taken,
		FirstAt: micro(d.FirstAt), LastAt: micro(now),
	}
	act := hotline.Act{Name: ActEscalated, At: now, Message: d.Message, Direction: strings.ToUpper(string(d.Direction)), Details: map[string]string{
		"stage": e.Stage, "step": e.Step, "taken": strconv.Itoa(int(d.Taken)), "deadline": d.Deadline.UTC().Format(time.RFC3339),
		"notify": strings.Join(d.Step.Notify, ","),
	}}
	err := l.cfg.Line.Change(unfenced{ctx}, l.trustDomain, func(tx store.LineTx) (*store.JournalEntry, error) {
		if err := tx.TakeStep(e); err != nil {
			return nil, err
		}
		for _, name := range d.Step.Notify {
			if err := tx.PutNotice(l.notice(d, name, now)); err != nil {
				return nil, err
			}
		}
		return act.Entry()
	})
	switch {
	case errors.Is(err, store.ErrConflict):
		return nil // it was taken meanwhile
	case err != nil:
		return fmt.Errorf("recording an escalation of message %s: %w", d.Message, err)
	}
	l.metrics.taken(s.hotline.Name, e.Stage)
	l.cfg.Log.WarnContext(ctx, "escalated", "hotline", s.hotline.Name, "message_id", d.Message, "stage", e.Stage, "step", e.Step, "taken", d.Taken)
	l.cfg.Changed()
	return nil
}

func (l *line) notice(d Due, notifier string, now time.Time) store.Notice {
	n := store.Notice{
		Peer: l.trustDomain, Event: string(notify.Escalated), Stage: string(d.Stage), Step: d.Step.Name, Occurrence: d.Taken,
		Direction: d.Direction, Message: d.Message, Notifier: notifier, Urgency: urgency(d.Precedence),
		Deadline: micro(d.Deadline), At: micro(now), NextAt: micro(now),
	}
	n.ID = identify(&n, micro(d.FirstAt))
	return n
}

// identify gives the same thing the same id.
func identify(n *store.Notice, since time.Time) string {
	return digest(n.Peer, n.Event, n.Stage, n.Step, strconv.Itoa(int(n.Occurrence)), string(n.Direction), n.Message, n.Notifier, strconv.FormatInt(since.UnixMicro(), 10))
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// micro is a time as it is stored.
func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// settle records that what was escalated is over, if it is, and that those who may have
// heard of it are to hear that, too.
func (l *line) settle(ctx context.Context, e store.Escalation) error {
	why, err := l.isOver(ctx, e)
	if err != nil || why == "" {
		return err
	}
	now := l.cfg.Now()
	act := hotline.Act{Name: ActSettled, At: now, Message: e.Message, Direction: strings.ToUpper(string(e.Direction)), Details: map[string]string{"stage": e.Stage, "why": why}}
	err = l.cfg.Line.Change(unfenced{ctx}, l.trustDomain, func(tx store.LineTx) (*store.JournalEntry, error) {
		told, err := tx.SettleSteps(e.Direction, e.Message, e.Stage, "it was over before it was told")
		if err != nil {
			return nil, err
		}
		for _, n := range told {
			if n.Event != string(notify.Escalated) {
				continue
			}
			n.Event, n.Occurrence, n.Batch, n.Attempts, n.Error, n.SentAt = string(notify.Settled), 0, "", 0, "", time.Time{}
			n.At, n.NextAt = micro(now), micro(now)
			n.ID = identify(&n, e.FirstAt)
			if err := tx.PutNotice(n); err != nil {
				return nil, err
			}
		}
		return act.Entry()
	})
	if err != nil {
		return fmt.Errorf("recording the end of an escalation of message %s: %w", e.Message, err)
	}
	l.cfg.Log.InfoContext(ctx, "what was escalated is over", "peer", l.trustDomain, "message_id", e.Message, "stage", e.Stage, "why", why)
	l.cfg.Changed()
	return nil
}

// isOver says why a situation is over; empty while it is not.
func (l *line) isOver(ctx context.Context, e store.Escalation) (string, error) {
	stage := config.Stage(e.Stage)
	if stage == config.StageAnswer {
		waits, err := l.cfg.Store.IsUnanswered(ctx, l.trustDomain, e.Message)
		if err != nil || waits {
			return "", err
		}
		return "answered", nil
	}
	m, err := l.cfg.Store.GetMessage(ctx, e.Direction, l.trustDomain, e.Message)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "the message is gone", nil
	case err != nil:
		return "", err
	case stage == config.StageReceipt && !m.ReceiptAt.IsZero():
		return "received", nil
	case stage != config.StageReceipt && m.AcknowledgedBy != "":
		return "acknowledged", nil
	}
	return "", nil
}

// sweep gives up, once after each change of the configuration, what waits for notifiers
// that are gone.
func (l *line) sweep(ctx context.Context, s *settings) error {
	l.mu.Lock()
	done := l.swept
	l.mu.Unlock()
	if done {
		return nil
	}
	var names []string
	for _, n := range s.hotline.Notifiers {
		names = append(names, n.Name)
	}
	err := l.cfg.Line.Change(unfenced{ctx}, l.trustDomain, func(tx store.LineTx) (*store.JournalEntry, error) {
		return nil, tx.AbandonNotices(names, "the notifier is not configured any more")
	})
	if err != nil {
		return fmt.Errorf("giving up notices of notifiers that are gone: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.swept = true
	return nil
}

// quiet are kinds whose arrival is no news for people.
func quiet(kind string) bool {
	return kind == string(message.ACK) || kind == string(message.LineCheckKind)
}
