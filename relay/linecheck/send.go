// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/message"
	"github.com/certlink/certlink/relay/problem"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/store"
)

const (
	// Path of line checks on the link port.
	Path = link.PathHotline + "linechecks"
	// contentType of all statements: a compact JWS (RFC 7515).
	contentType = "application/jose"
	// checkTimeout bounds one check; where the declared time is short, a third of it does.
	checkTimeout = 20 * time.Second
	// maxAnswer is the longest answer that is read.
	maxAnswer = 64 << 10
	// maxPaths bounds the paths of a peer, of one direction.
	maxPaths = 16
)

// facts are what is stored with a check.
type facts struct {
	// Digest of the check's payload, hexadecimal SHA-256.
	Digest          string   `json:"digest"`
	IntervalSeconds int32    `json:"interval_seconds"`
	Skipped         int64    `json:"skipped,omitempty"`
	OnDemand        bool     `json:"on_demand,omitempty"`
	Dials           []string `json:"dials,omitempty"`
	// LastSlot is the last one of this path for which a check was due and sent.
	LastSlot time.Time `json:"last_slot,omitzero"`
	// Lost counts the numbers of the peer right below this one that never came (In).
	Lost int64 `json:"lost,omitempty"`
	// SentAt is the sender's time, TheirTime the receiver's.
	SentAt    time.Time `json:"sent_at"`
	TheirTime time.Time `json:"their_time,omitzero"`
	// RoundTripMicroseconds from sending to the verified receipt (Out).
	RoundTripMicroseconds int64 `json:"round_trip_us,omitempty"`
	// Failure says why there is no receipt (Out). Without it and without success the check was
	// interrupted by our own end.
	Failure string `json:"failure,omitempty"`
	// SignedBy is the subject of the receipt's signer (Out) or of the check's (In).
	SignedBy string `json:"signed_by,omitempty"`
}

func factsOf(content []byte) (f facts) {
	_ = json.Unmarshal(content, &f) // our own; an older form lacks members
	return f
}

// outcome of a check of ours.
type outcome struct {
	way  Way
	sent Check
	facts
}

// run sends the checks of each slot until ctx ends, makes the records of months that are
// over, and sums up days. Only the holder of the lease runs it.
func (l *line) run(ctx context.Context) {
	var before moment
	for {
		_, checks := l.settings()
		every := time.Duration(checks.IntervalSeconds) * time.Second
		s := newSchedule(every, l.engine.cfg.Identity().TrustDomain(), l.trustDomain)
		now := l.engine.now()
		last, err := l.lastSlot(ctx)
		wait := s.look()
		if err == nil {
			t := s.next(before, now, last)
			if before, wait = now, t.wait; t.due {
				l.round(ctx, s, t.slot, false, nil)
			}
			l.keep(ctx)
		} else if ctx.Err() == nil {
			l.engine.cfg.Log.ErrorContext(ctx, "line checks are not sent", "peer", l.trustDomain, "error", err)
		}
		if !sleep(ctx, wait, l.wakeRun) {
			return
		}
	}
}

// lastSlot is the last one for which we sent checks over any path.
func (l *line) lastSlot(ctx context.Context) (last time.Time, err error) {
	seen, err := l.engine.cfg.Store.LatestLineChecks(ctx, l.trustDomain)
	for _, c := range seen {
		if f := factsOf(c.Content); c.Direction == store.Out && f.LastSlot.After(last) {
			last = f.LastSlot
		}
	}
	return last, err
}

// round sends a check over each path at once, but for those that are done.
func (l *line) round(ctx context.Context, s schedule, slot time.Time, onDemand bool, done map[Way]bool) []outcome {
	at := l.engine.cfg.Paths(l.trustDomain)
	at = at[:min(len(at), maxPaths)]
	var dials []string
	for _, p := range at {
		if !p.Accepted {
			dials = append(dials, p.Address)
		}
	}
	_, checks := l.settings()
	id, content := textFor(checks.Texts, s.number(slot))
	own := l.engine.cfg.Identity().TrustDomain()
	at = slices.DeleteFunc(slices.Clone(at), func(p link.Path) bool { return done[way(own, p)] })
	if len(at) == 0 {
		return nil
	}
	out := make([]outcome, len(at))
	var sending sync.WaitGroup
	for i, p := range at {
		sending.Go(func() {
			c := Check{
				Version: Version, From: own, To: l.trustDomain, Path: way(own, p), Slot: slot, OnDemand: onDemand,
				RSIT: message.TestCode, TextID: id, Text: content, IntervalSeconds: checks.IntervalSeconds, Dials: dials,
			}
			out[i] = l.check(ctx, s, p, c)
		})
	}
	sending.Wait()
	l.wakeWatchers()
	return out
}

// way is the path as both sides name it.
func way(own string, p link.Path) Way {
	if p.Accepted {
		return Way{DialledBy: p.TrustDomain, Address: p.Address}
	}
	return Way{DialledBy: own, Address: p.Address}
}

// check sends one check.
//
//  1. one transaction: its number, its content, its act in our journal   crash before: nothing; after: interrupted
//  2. send it, verify the receipt                                        crash: interrupted
//  3. one transaction: what came of it                                   crash after: done
//
// An interrupted check is no fault of the line, and counts as not tested.
func (l *line) check(ctx context.Context, s schedule, at link.Path, c Check) outcome {
	_, checks := l.settings()
	limit := min(checkTimeout, time.Duration(checks.MissedAfterSeconds)*time.Second/3)
	o := outcome{way: c.Path, sent: c}
	atLeast := int64(0)
	for range 2 { // again when the peer holds larger numbers than our database
		row, payload, err := l.begin(ctx, s, &c, atLeast)
		if err != nil {
			o.Failure = "our own relay did not send the check: " + clip(err.Error())
			l.engine.cfg.Log.ErrorContext(ctx, "line check not sent", "peer", l.trustDomain, "path", c.Path.key(), "error", err)
			return o
		}
		o.sent, o.facts = c, factsOf(row.Content)
		last, err := l.exchange(ctx, at, limit, &row, payload, &o)
		if ctx.Err() != nil {
			return o // we are stopping, which says nothing about the line
		}
		if err != nil {
			o.Failure = clip(err.Error())
		}
		l.finish(ctx, row, &o)
		if err == nil || last < c.Number {
			break
		}
		atLeast = last + 1
	}
	return o
}

// begin does step 1.
func (l *line) begin(ctx context.Context, s schedule, c *Check, atLeast int64) (row store.LineCheck, payload []byte, err error) {
	var told error
	err = l.engine.cfg.Change(ctx, l.trustDomain, func(tx store.LineTx) (*store.JournalEntry, error) {
		last, err := tx.LastLineCheck(store.Out, c.Path.key())
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		c.Number, c.SentAt = max(last.Number+1, atLeast), l.engine.cfg.Now().UTC().Truncate(time.Microsecond)
		// From where it dials is what the peer says. Others share the transaction: this is not to undo it.
		if c.Path.DialledBy != c.From && last.Number == 0 {
			told = crowded(tx, store.Out, c.SentAt)
		}
		if told != nil {
			return nil, nil //nolint:nilerr // see above
		}
		before := factsOf(last.Content)
		f := facts{IntervalSeconds: c.IntervalSeconds, OnDemand: c.OnDemand, Dials: c.Dials, LastSlot: before.LastSlot, SentAt: c.SentAt}
		if !c.OnDemand {
			c.Skipped = s.between(before.LastSlot, c.Slot)
			f.Skipped, f.LastSlot = c.Skipped, c.Slot
		}
		if payload, err = encode(c); err != nil {
			return nil, err
		}
		f.Digest = digest(payload)
		row = store.LineCheck{Direction: store.Out, Path: c.Path.key(), Number: c.Number, Slot: countsAt(c.Slot, c.SentAt), At: c.SentAt}
		if row.Content, err = encode(f); err != nil {
			return nil, err
		}
		if err := tx.PutLineCheck(row); err != nil {
			return nil, err
		}
		return l.act("LINE_CHECK_SENT", c, f.Digest)
	})
	return row, payload, errors.Join(err, told)
}

// act is a check in our journal.
func (l *line) act(name string, c *Check, digest string) (*store.JournalEntry, error) {
	return l.engine.cfg.Act(name, l.engine.cfg.Now(), map[string]string{
		"path": c.Path.key(), "number": strconv.FormatInt(c.Number, 10), "slot": c.Slot.Format(time.RFC3339), "sha256": digest,
	})
}

// exchange does step 2. When the peer says that the number was used, it returns the last one too.
func (l *line) exchange(ctx context.Context, at link.Path, limit time.Duration, row *store.LineCheck, payload []byte, o *outcome) (last int64, err error) {
	if err := l.engine.cfg.Allowed(l.trustDomain); err != nil {
		return 0, err
	}
	identity := l.engine.cfg.Identity()
	if row.Statement, err = receipt.Sign(identity, TypeCheck, payload); err != nil {
		return 0, fmt.Errorf("signing with our own key: %w", err)
	}
	begun := l.engine.cfg.Steady()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	answer, err := post(ctx, l.engine.cfg.Client(at), l.trustDomain, Path, row.Statement)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return 0, fmt.Errorf("no answer within %v", limit)
	}
	if err != nil {
		return 0, err
	}
	opened, err := receipt.Open(identity, TypeReceipt, answer, l.engine.cfg.Now())
	if err != nil {
		return 0, err
	}
	if opened.TrustDomain != l.trustDomain {
		return 0, fmt.Errorf("the receipt is signed by %s", clip(opened.TrustDomain))
	}
	r, err := decodeReceipt(opened.Payload, &o.sent, o.Digest)
	if err != nil {
		return 0, err
	}
	row.Receipt = answer
	o.TheirTime, o.SignedBy = r.ReceivedAt, opened.Leaf.URIs[0].String()
	o.RoundTripMicroseconds = max(1, (l.engine.cfg.Steady() - begun).Microseconds())
	switch {
	case r.Verdict == Conflict || r.Verdict == Old:
		return r.LastNumber, fmt.Errorf("the peer holds check %d of this path already: our database was set back; the numbers go on above its last", o.sent.Number)
	case r.ReceivedOver != Way{} && r.ReceivedOver != o.sent.Path:
		return 0, fmt.Errorf("the check went over another path than meant, %s: compare the addresses of both sides", clip(r.ReceivedOver.key()))
	}
	row.DoneAt = l.engine.cfg.Now().UTC().Truncate(time.Microsecond)
	return 0, nil
}

// finish does step 3.
func (l *line) finish(ctx context.Context, row store.LineCheck, o *outcome) {
	var err error
	if row.Content, err = encode(o.facts); err == nil {
		err = l.engine.cfg.Change(ctx, l.trustDomain, func(tx store.LineTx) (*store.JournalEntry, error) {
			return nil, tx.PutLineCheck(row)
		})
	}
	name, _ := l.settings()
	l.engine.metrics.sent(name, o)
	if err != nil {
		l.engine.cfg.Log.ErrorContext(ctx, "result of a line check not stored", "peer", l.trustDomain, "path", row.Path, "error", err)
	} else if o.Failure != "" {
		l.engine.cfg.Log.WarnContext(ctx, "line check failed", "peer", l.trustDomain, "path", row.Path, "number", row.Number, "reason", o.Failure)
	}
}

// post sends a signed statement and returns the body of the peer's success.
func post(ctx context.Context, c *http.Client, trustDomain, path string, signed []byte) ([]byte, error) {
	target := url.URL{Scheme: "https", Host: trustDomain, Path: path}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(signed))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", contentType+", "+problem.ContentType)
	resp, err := c.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("reading the peer's answer: %w", err)
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("the peer's answer has more than %d bytes", maxAnswer)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, refused(resp.StatusCode, body)
	}
	return body, nil
}

// answeredError is an answer that says no. Another path leads to the same relay.
type answeredError struct{ said string }

func (e *answeredError) Error() string { return e.said }

// refused is what the peer answered instead.
func refused(status int, body []byte) error {
	var p problem.Details
	_ = json.Unmarshal(body, &p) // whatever it is, the status says enough
	if status == http.StatusNotFound {
		return &answeredError{"the peer's relay does not take line checks; ask the peer for a release that does"}
	}
	return &answeredError{fmt.Sprintf("the peer answered %d %s: %s", status, http.StatusText(status), clip(p.Detail))}
}
