// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/certlink/certlink/relay/desk"
	"github.com/certlink/certlink/relay/store"
)

var _ desk.LineChecker = (*Engine)(nil)

// CheckLine checks every path of a hotline now, and shows what the peer's checks came to.
func (e *Engine) CheckLine(ctx context.Context, hotline string) (desk.LineCheckRun, error) {
	l, err := e.named(hotline)
	if err != nil {
		return desk.LineCheckRun{}, err
	}
	name, checks := l.settings()
	own := e.cfg.Identity().TrustDomain()
	at := e.cfg.Now().UTC().Truncate(time.Microsecond)
	s := newSchedule(time.Duration(checks.IntervalSeconds)*time.Second, own, l.trustDomain)
	run := desk.LineCheckRun{Hotline: name, Peer: l.trustDomain, At: at, Checks: []desk.LineChecked{}}
	ours := map[Way]outcome{}
	for _, o := range l.round(ctx, s, at, true, nil) {
		ours[o.way] = o
	}
	if ctx.Err() != nil {
		return desk.LineCheckRun{}, ctx.Err()
	}
	now, err := l.look(ctx)
	if err != nil {
		return desk.LineCheckRun{}, err
	}
	rows, err := e.cfg.Store.LatestLineChecks(ctx, l.trustDomain)
	if err != nil {
		return desk.LineCheckRun{}, err
	}
	for _, st := range now {
		c := desk.LineChecked{DialledBy: st.way.DialledBy, Address: st.way.Address, Direction: "received", State: st.state, Failure: st.failure}
		o, sent := ours[st.way]
		switch {
		case st.out && sent:
			c.Direction, c.Number, c.RoundTripMicroseconds = "sent", o.sent.Number, o.RoundTripMicroseconds
			c.OurTime, c.TheirTime, c.SignedBy, c.Failure = o.SentAt, o.TheirTime, o.SignedBy, o.Failure
			if c.State = Answered; o.Failure != "" {
				c.State = Missed
			}
		case st.out:
			c.Direction = "sent"
			if c.Failure == "" {
				c.Failure = "there is no connection on this path, which the peer dials"
			}
		default:
			heard(&c, rows)
		}
		run.Checks = append(run.Checks, c)
	}
	return run, nil
}

// heard fills in the last check of the peer.
func heard(c *desk.LineChecked, rows []store.LineCheck) {
	key := Way{DialledBy: c.DialledBy, Address: c.Address}.key()
	for _, r := range rows {
		if r.Direction == store.In && r.Path == key && r.Number > c.Number {
			f := factsOf(r.Content)
			c.Number, c.OurTime, c.TheirTime, c.SignedBy = r.Number, r.DoneAt, f.SentAt, f.SignedBy
		}
	}
}

// Availability shows the record of a month as it is stored.
func (e *Engine) Availability(ctx context.Context, hotline, month string) (desk.Availability, error) {
	l, err := e.named(hotline)
	if err != nil {
		return desk.Availability{}, err
	}
	if _, _, err := monthOf(month); err != nil {
		return desk.Availability{}, &desk.InvalidError{Faults: []desk.Fault{{Field: "month", Reason: "must be YYYY-MM"}}}
	}
	name, _ := l.settings()
	own := e.cfg.Identity().TrustDomain()
	a := desk.Availability{Hotline: name, Peer: l.trustDomain, Month: month}
	if a.Ours, err = l.signed(ctx, month, partOurs, own, partOursCounter, l.trustDomain); err != nil {
		return desk.Availability{}, err
	}
	if a.Theirs, err = l.signed(ctx, month, partTheirs, l.trustDomain, partTheirsCounter, own); err != nil {
		return desk.Availability{}, err
	}
	if a.Ours == nil && a.Theirs == nil {
		return desk.Availability{}, fmt.Errorf("there is no record of %s yet: %w", month, store.ErrNotFound)
	}
	final, err := l.part(ctx, month, partOurs)
	a.State = stateOf(a, final.final)
	return a, err
}

// ExchangeAvailability makes the record of a month now, with the peer. When the peer cannot
// be asked, it shows what there is, and why.
func (e *Engine) ExchangeAvailability(ctx context.Context, hotline, month string) (desk.Availability, error) {
	l, err := e.named(hotline)
	if err != nil {
		return desk.Availability{}, err
	}
	exchangeErr := l.exchangeRecords(ctx, month, e.cfg.Now().UTC())
	if told, ok := errors.AsType[*refusal](exchangeErr); ok && told.status == 422 {
		return desk.Availability{}, &desk.InvalidError{Faults: []desk.Fault{{Field: "month", Reason: told.detail}}}
	}
	a, err := e.Availability(ctx, hotline, month)
	if exchangeErr != nil {
		if err != nil {
			return desk.Availability{}, exchangeErr
		}
		a.Error = clip(exchangeErr.Error())
	}
	return a, err
}

// signed reads one side's record and the other's countersignature, and verifies both.
func (l *line) signed(ctx context.Context, month, part, by, counter, of string) (*desk.SignedRecord, error) {
	s, err := l.part(ctx, month, part)
	if err != nil || s.payload == nil {
		return nil, err
	}
	out := &desk.SignedRecord{Record: s.payload, JWS: string(s.signed)}
	if err := l.verified(TypeRecord, s.signed, by); err != nil {
		out.Fault = clip(err.Error())
	}
	out.Verified = out.Fault == ""
	c, err := l.part(ctx, month, counter)
	if err != nil || c.payload == nil {
		return out, err
	}
	var said Countersignature
	if err := json.Unmarshal(c.payload, &said); err != nil {
		return nil, err
	}
	out.CounterJWS = string(c.signed)
	switch err := l.verified(TypeCountersignature, c.signed, of); {
	case err != nil:
		out.CounterFault = clip(err.Error())
	case said.RecordSHA256 != digest(s.payload):
		out.CounterFault = "it is of an earlier record of this month"
	default:
		out.CounterVerified, out.Agreed, out.Differences = true, said.Agreed, said.Differences
	}
	return out, nil
}

func stateOf(a desk.Availability, final bool) string {
	whole := func(s *desk.SignedRecord) bool { return s != nil && s.Verified && s.CounterVerified }
	switch {
	case !final:
		return desk.AvailabilityRunning
	case !whole(a.Ours) || !whole(a.Theirs):
		return desk.AvailabilityUnsigned
	case a.Ours.Agreed && a.Theirs.Agreed:
		return desk.AvailabilityAgreed
	}
	return desk.AvailabilityDisagreed
}
