// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/certlink/certlink/relay/link"
	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/store"
)

// Paths of availability records on the link port.
const (
	// PathAvailability takes the peer's record, and answers with our countersignature of it
	// and, on the next line, our own record of the same time.
	PathAvailability = link.PathHotline + "availability"
	// PathCountersignature takes the peer's countersignature of our record.
	PathCountersignature = link.PathHotline + "availability/countersignature"
)

// exchangeRecords makes our record of a month, has it countersigned, and countersigns that
// of the peer. Of a month that runs it is the record until now, which a later one replaces.
//
//  1. our record, signed and stored                                crash: it is sent next time
//  2. it goes to the peer, which stores it, and answers with its countersignature and its record
//  3. both are verified and stored with our countersignature       crash before: 2 is repeated, with the same answer
//  4. our countersignature goes to the peer                        crash before: repeated, as the month is not marked done
//  5. the peer's countersignature is stored: the month is done
func (l *line) exchangeRecords(ctx context.Context, month string, now time.Time) error {
	l.recording.Lock()
	defer l.recording.Unlock()
	until, final, err := end(month, now)
	if err != nil {
		return err
	}
	if err := l.engine.cfg.Allowed(l.trustDomain); err != nil {
		return err
	}
	own, record, err := l.ours(ctx, month, until, final)
	if err != nil {
		return err
	}
	answer, err := l.say(ctx, PathAvailability, TypeRecord, own)
	if err != nil {
		return err
	}
	first, second, ok := bytes.Cut(answer, []byte("\n"))
	if !ok {
		return errors.New("the peer's answer is not a countersignature and a record")
	}
	counter, _, err := l.openCountersignature(first, digest(own.payload), final)
	if err != nil {
		return err
	}
	theirs, their, err := l.openRecord(second)
	if err != nil {
		return err
	}
	if their.Month != month || !their.Until.Equal(record.Until) {
		return errors.New("the peer's record is of another time")
	}
	mine, err := l.countersign(ctx, theirs, their, record)
	if err != nil {
		return err
	}
	if _, err := l.say(ctx, PathCountersignature, TypeCountersignature, mine); err != nil {
		return err
	}
	return l.put(ctx, month, partOursCounter, counter)
}

// finalAt is when the record of a month that is over is made. A slot that was running then may
// be checked until slotTolerance after it: later it counts when it was sent. So the deadline of
// the last check that may count for the month has passed on both sides.
func finalAt(over time.Time) time.Time { return over.Add(slotTolerance + finalAfter) }

// lastTakenAt is until when checks of a month that is over are taken, before its record is made here or, at the
// earliest, asked for by a peer whose clock is ahead.
func lastTakenAt(over time.Time) time.Time { return over.Add(slotTolerance + settle) }

// end says until when a record of a month goes now, and whether it is the last word.
func end(month string, now time.Time) (until time.Time, final bool, err error) {
	from, over, err := monthOf(month)
	if err != nil {
		return time.Time{}, false, refuse(http.StatusUnprocessableEntity, "%v", err)
	}
	if !now.Before(finalAt(over)) {
		return over, true, nil
	}
	until = now.Add(-settle).UTC().Truncate(time.Second)
	switch {
	case !until.After(from):
		return time.Time{}, false, refuse(http.StatusUnprocessableEntity, "the month %s has only begun: ask again in a minute", month)
	case !until.Before(over):
		return time.Time{}, false, refuse(http.StatusUnprocessableEntity, "checks of %s may still come; its record is made at %s", month, finalAt(over).Format(time.RFC3339))
	}
	return until, false, nil
}

// say sends a statement of ours that is stored, and returns the answer.
func (l *line) say(ctx context.Context, path, typ string, s statement) ([]byte, error) {
	signed, err := l.leaving(typ, s)
	if err != nil {
		return nil, err
	}
	return l.postAnywhere(ctx, path, signed)
}

// Post sends a statement about the line to a path of the peer's link port, and returns the answer.
func (e *Engine) Post(ctx context.Context, trustDomain, path string, signed []byte) ([]byte, error) {
	l := e.line(trustDomain)
	if l == nil {
		return nil, fmt.Errorf("there is no hotline to %s: %w", clip(trustDomain), store.ErrNotFound)
	}
	if err := e.cfg.Allowed(trustDomain); err != nil {
		return nil, err
	}
	return l.postAnywhere(ctx, path, signed)
}

// postAnywhere sends a statement over the paths in turn until one is answered. All are
// repeatable.
func (l *line) postAnywhere(ctx context.Context, path string, signed []byte) (answer []byte, err error) {
	err = errors.New("there is no path to the peer")
	for _, at := range l.engine.cfg.Paths(l.trustDomain) {
		trial, cancel := context.WithTimeout(ctx, checkTimeout)
		answer, err = post(trial, l.engine.cfg.Client(at), l.trustDomain, path, signed)
		cancel()
		if _, answered := errors.AsType[*answeredError](err); err == nil || answered || ctx.Err() != nil {
			break
		}
	}
	return answer, err
}

func (l *line) openRecord(signed []byte) (statement, Record, error) {
	opened, err := l.open(TypeRecord, signed)
	if err != nil {
		return statement{}, Record{}, err
	}
	r, err := decodeRecord(opened.Payload)
	own := l.engine.cfg.Identity().TrustDomain()
	switch {
	case err != nil:
		return statement{}, Record{}, refuse(http.StatusUnprocessableEntity, "%v", err)
	case r.By != l.trustDomain || r.With != own:
		return statement{}, Record{}, refuse(http.StatusUnprocessableEntity, "by, with: must be %s and %s", l.trustDomain, own)
	}
	_, over, _ := monthOf(r.Month) // decodeRecord has read it
	return statement{payload: opened.Payload, signed: signed, final: r.Until.Equal(over)}, r, nil
}

func (l *line) openCountersignature(signed []byte, record string, final bool) (statement, Countersignature, error) {
	opened, err := l.open(TypeCountersignature, signed)
	if err != nil {
		return statement{}, Countersignature{}, err
	}
	var c Countersignature
	if err := json.Unmarshal(opened.Payload, &c); err != nil {
		return statement{}, Countersignature{}, refuse(http.StatusUnprocessableEntity, "reading a countersignature: %v", err)
	}
	own := l.engine.cfg.Identity().TrustDomain()
	switch {
	case c.Version != Version || c.By != l.trustDomain || c.Of != own:
		return statement{}, c, refuse(http.StatusUnprocessableEntity, "the countersignature is not of version %d by %s for %s", Version, l.trustDomain, own)
	case record != "" && c.RecordSHA256 != record:
		return statement{}, c, refuse(http.StatusUnprocessableEntity, "the countersignature is of another record")
	case len(c.Differences) > maxDifferences || c.Agreed != (len(c.Differences) == 0):
		return statement{}, c, refuse(http.StatusUnprocessableEntity, "the differences of a countersignature are out of bounds")
	}
	return statement{payload: opened.Payload, signed: signed, final: final}, c, nil
}

// takeRecord answers a record of the peer, see exchangeRecords.
func (e *Engine) takeRecord(l *line, r *http.Request, signed []byte) ([]byte, error) {
	theirs, record, err := l.openRecord(signed)
	if err != nil {
		return nil, err
	}
	now := e.cfg.Now().UTC()
	earliest := record.Until // who asks leaves time enough for clocks that differ by settle
	if theirs.final {
		earliest = lastTakenAt(record.Until)
	}
	if now.Before(earliest) {
		return nil, refuse(http.StatusConflict, "that time is not over here, with the checks that may still come of it; it is %s, ask again at %s",
			now.Format(time.RFC3339), earliest.Format(time.RFC3339))
	}
	// Both sides may ask at once, each holding its own; the one that asks tries again.
	if !l.recording.TryLock() {
		return nil, refuse(http.StatusTooManyRequests, "a record is being made: ask again in a moment")
	}
	defer l.recording.Unlock()
	own, our, err := l.ours(r.Context(), record.Month, record.Until, theirs.final)
	if err != nil {
		return nil, err
	}
	if !our.Until.Equal(record.Until) {
		return nil, refuse(http.StatusConflict, "the month is over here, and our record of all of it is signed: send yours")
	}
	said, err := l.countersign(r.Context(), theirs, record, our)
	if err != nil {
		return nil, err
	}
	first, err := l.leaving(TypeCountersignature, said)
	if err != nil {
		return nil, err
	}
	second, err := l.leaving(TypeRecord, own)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%s\n%s", first, second), nil
}

// takeCountersignature stores what the peer says of our record.
func (e *Engine) takeCountersignature(l *line, r *http.Request, signed []byte) ([]byte, error) {
	counter, said, err := l.openCountersignature(signed, "", false)
	if err != nil {
		return nil, err
	}
	if _, _, err := monthOf(said.Month); err != nil {
		return nil, refuse(http.StatusUnprocessableEntity, "%v", err)
	}
	own, err := l.part(r.Context(), said.Month, partOurs)
	if err != nil {
		return nil, err
	}
	if own.payload == nil || digest(own.payload) != said.RecordSHA256 {
		return nil, refuse(http.StatusConflict, "our record of %s is another one", said.Month)
	}
	if stored, err := l.part(r.Context(), said.Month, partOursCounter); err != nil || stored.final {
		return []byte("stored"), err
	}
	counter.final = own.final
	return []byte("stored"), l.put(r.Context(), said.Month, partOursCounter, counter)
}

// verified opens a stored statement again by what we trust now, at the time that it names:
// what our CA, or the peer's, vouched for then. A signer that has expired since is no fault.
func (l *line) verified(typ string, signed []byte, by string) error {
	opened, err := receipt.Open(l.engine.cfg.Identity(), typ, signed, l.engine.cfg.Now())
	if errors.Is(err, receipt.ErrExpired) {
		chain, chainErr := receipt.Certificates(signed)
		if chainErr != nil {
			return err
		}
		opened, err = receipt.Open(l.engine.cfg.Identity(), typ, signed, chain[0].NotBefore.Add(time.Second))
	}
	if err == nil && opened.TrustDomain != by {
		err = fmt.Errorf("it is signed by %s", clip(opened.TrustDomain))
	}
	return err
}
