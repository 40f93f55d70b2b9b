// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/certlink/certlink/relay/store"
)

// Kinds of statement about availability, the typ of their JWS.
const (
	TypeRecord           = "certlink-availability-record"
	TypeCountersignature = "certlink-availability-countersignature"
)

// Record is the availability of a line in a month as one side saw it. It is deterministic:
// the same checks give the same bytes. docs/schema/availability-record-1.json is its schema.
type Record struct {
	Version int `json:"version"`
	// Month YYYY-MM in UTC. From and Until bound it; Until is earlier than its end in a
	// record that was made while the month ran.
	Month string    `json:"month"`
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	// By is the trust domain whose view it is, With the other side.
	By   string `json:"by"`
	With string `json:"with"`
	// Paths in both directions, by sender, then by who dials, then by address.
	Paths []PathRecord `json:"paths"`
	// Slots in which By sent a check over at least one path, SlotsAnswered those in which at
	// least one was answered, and Availability what part that is: percent with three
	// decimals, rounded down; "" without slots.
	Slots         int64  `json:"slots"`
	SlotsAnswered int64  `json:"slots_answered"`
	Availability  string `json:"availability"`
	// Messages whose receipt says that they were stored in this time, by sender. Those of
	// exercises are counted apart.
	Messages Messages `json:"messages"`
}

// PathRecord is one path in one direction.
type PathRecord struct {
	// From is the trust domain that sends the checks.
	From string `json:"from"`
	Path Way    `json:"path"`
	// Sent checks: as counted by the sender, or as their numbers tell the receiver.
	Sent int64 `json:"sent"`
	// Good: the receipt was verified (the sender's view), or it arrived (the receiver's).
	Good int64 `json:"good"`
	// Missed is Sent without Good.
	Missed int64 `json:"missed"`
	// NotTested slots, in which the sender sent nothing over this path, as it says itself.
	NotTested int64 `json:"not_tested"`
	// LongestGapSeconds between two good checks, not tested time included.
	LongestGapSeconds int64 `json:"longest_gap_seconds"`
	// Availability is Good of Sent, as Record.Availability.
	Availability string `json:"availability"`
}

// Messages counts the messages of a record.
type Messages struct {
	Sent                  int64 `json:"sent"`
	Received              int64 `json:"received"`
	ExerciseSent          int64 `json:"exercise_sent"`
	ExerciseReceived      int64 `json:"exercise_received"`
	LongestReceiptSeconds int64 `json:"longest_receipt_seconds"`
}

// Countersignature is what one side says of the other's record.
type Countersignature struct {
	Version int    `json:"version"`
	Month   string `json:"month"`
	// RecordSHA256 is the hexadecimal digest of the record's payload.
	RecordSHA256 string    `json:"record_sha256"`
	By           string    `json:"by"`
	Of           string    `json:"of"`
	At           time.Time `json:"at"`
	// Agreed: there is no difference. Else Differences, one line each.
	Agreed      bool     `json:"agreed"`
	Differences []string `json:"differences,omitempty"`
}

// maxDifferences bounds what a countersignature lists.
const maxDifferences = 64

// tally sums up one path in one direction over some time.
type tally struct {
	Out       bool      `json:"out,omitempty"`
	Path      Way       `json:"path"`
	Sent      int64     `json:"sent"`
	Good      int64     `json:"good"`
	NotTested int64     `json:"not_tested,omitempty"`
	Gap       int64     `json:"gap_us,omitempty"`
	First     time.Time `json:"first,omitzero"`
	Last      time.Time `json:"last,omitzero"`
	// Through is the largest number that is summed up.
	Through int64 `json:"through,omitempty"`
}

// sum is what is kept of a day.
type sum struct {
	Paths         []tally `json:"paths"`
	Slots         int64   `json:"slots"`
	SlotsAnswered int64   `json:"slots_answered"`
}

// add takes a good check into account; they come in order.
func (t *tally) good(first, last time.Time, gap int64) {
	t.Gap = max(t.Gap, gap)
	if first.IsZero() {
		return
	}
	if t.First.IsZero() {
		t.First = first
	} else {
		t.Gap = max(t.Gap, first.Sub(t.Last).Microseconds())
	}
	t.Last = last
}

// index of the tally of a path and direction, -1 for none.
func (s *sum) index(out bool, path Way) int {
	return slices.IndexFunc(s.Paths, func(t tally) bool { return t.Out == out && t.Path == path })
}

// of returns the tally of a path and direction.
func (s *sum) of(out bool, path Way) *tally {
	i := s.index(out, path)
	if i < 0 {
		i, s.Paths = len(s.Paths), append(s.Paths, tally{Out: out, Path: path})
	}
	return &s.Paths[i]
}

// merge adds a later time to an earlier one.
func (s *sum) merge(later sum) {
	s.Slots += later.Slots
	s.SlotsAnswered += later.SlotsAnswered
	for _, l := range later.Paths {
		t := s.of(l.Out, l.Path)
		t.Sent += l.Sent
		t.Good += l.Good
		t.NotTested += l.NotTested
		t.Through = max(t.Through, l.Through)
		t.good(l.First, l.Last, l.Gap)
	}
}

// recordOf writes what was summed up. It is pure.
func recordOf(own, peer, month string, from, until time.Time, s sum, t store.Traffic) Record {
	r := Record{
		Version: Version, Month: month, From: from, Until: until, By: own, With: peer, Paths: []PathRecord{},
		Slots: s.Slots, SlotsAnswered: s.SlotsAnswered, Availability: percent(s.SlotsAnswered, s.Slots),
		Messages: Messages{
			Sent: t.Sent, Received: t.Received, ExerciseSent: t.ExerciseSent, ExerciseReceived: t.ExerciseReceived,
			LongestReceiptSeconds: int64((t.LongestReceipt + time.Second - 1) / time.Second),
		},
	}
	for _, p := range s.Paths {
		one := PathRecord{
			From: peer, Path: p.Path, Sent: p.Sent, Good: p.Good, Missed: p.Sent - p.Good, NotTested: p.NotTested,
			LongestGapSeconds: p.Gap / 1_000_000, Availability: percent(p.Good, p.Sent),
		}
		if p.Out {
			one.From = own
		}
		r.Paths = append(r.Paths, one)
	}
	slices.SortFunc(r.Paths, func(a, b PathRecord) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Path.DialledBy, b.Path.DialledBy), cmp.Compare(a.Path.Address, b.Path.Address))
	})
	return r
}

// percent with three decimals, rounded down: what was not whole never reads 100.000.
func percent(part, whole int64) string {
	if whole <= 0 {
		return ""
	}
	n := part * 100_000 / whole
	return fmt.Sprintf("%d.%03d", n/1000, n%1000)
}

// compare says where the other side's record does not agree with our view of the same time.
// It is pure. What must agree:
//
//   - the other side knows of no more checks, by their numbers, than the sender says to have
//     sent or begun;
//   - no more receipts were verified than checks arrived;
//   - the messages that one side sent, by the receiver's clock, are those that the other received.
//     Receipts may have come after the record of the sender was made: the sender knows, and says
//     in its countersignature, whether they explain what it counts less.
//
// A check whose answer was lost arrived and was missed: no difference. Nor are checks that
// the receiver has not heard of: whether they were the first of a path, or the last before
// the month ended, or our own end interrupted them, the sender owns up to them.
func compare(theirs, ours Record) (differences []string) {
	note := func(format string, args ...any) {
		if len(differences) < maxDifferences {
			differences = append(differences, clip(fmt.Sprintf(format, args...)))
		}
	}
	find := func(r Record, p PathRecord) PathRecord {
		for _, q := range r.Paths {
			if q.From == p.From && q.Path == p.Path {
				return q
			}
		}
		return PathRecord{From: p.From, Path: p.Path}
	}
	pair := func(p, q PathRecord) {
		sender, receiver, by, with := p, q, theirs.By, ours.By
		if p.From == ours.By {
			sender, receiver, by, with = q, p, ours.By, theirs.By
		}
		if receiver.Sent > sender.Sent+sender.NotTested {
			note("checks of %s over %s: %s owns up to %d, %s knows of %d", by, p.Path.key(), by, sender.Sent+sender.NotTested, with, receiver.Sent)
		}
		if sender.Good > receiver.Good {
			note("checks of %s over %s: %s holds %d receipts, %s received %d checks", by, p.Path.key(), by, sender.Good, with, receiver.Good)
		}
	}
	for _, p := range theirs.Paths {
		pair(p, find(ours, p))
	}
	for _, p := range ours.Paths {
		if find(theirs, p) == (PathRecord{From: p.From, Path: p.Path}) && p.Sent > 0 {
			pair(PathRecord{From: p.From, Path: p.Path}, p)
		}
	}
	a, b := theirs.Messages, ours.Messages
	for _, m := range []struct {
		what       string
		sent, got  int64
		from, with string
	}{
		{"messages", a.Sent, b.Received, theirs.By, ours.By}, {"messages", b.Sent, a.Received, ours.By, theirs.By},
		{"messages of exercises", a.ExerciseSent, b.ExerciseReceived, theirs.By, ours.By},
		{"messages of exercises", b.ExerciseSent, a.ExerciseReceived, ours.By, theirs.By},
	} {
		if m.sent > m.got || m.sent < m.got && m.from == ours.By {
			note("%s from %s: it counts %d, %s counts %d", m.what, m.from, m.sent, m.with, m.got)
		}
	}
	return differences
}

// decodeRecord reads and bounds what a peer signed.
func decodeRecord(raw []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(raw, &r); err != nil {
		return Record{}, fmt.Errorf("reading an availability record: %w", err)
	}
	r.From, r.Until = r.From.UTC(), r.Until.UTC()
	from, end, err := monthOf(r.Month)
	switch {
	case err != nil:
		return Record{}, err
	case r.Version != Version:
		return Record{}, fmt.Errorf("version: must be %d", Version)
	case !r.From.Equal(from) || !r.Until.After(from) || r.Until.After(end):
		return Record{}, errors.New("from, until: must be within the month")
	case len(r.Paths) > 8*maxPaths:
		return Record{}, fmt.Errorf("paths: at most %d", 8*maxPaths)
	}
	for _, p := range r.Paths {
		if !isAddress(p.Path.Address) || p.Sent < 0 || p.Good < 0 || p.From != r.By && p.From != r.With {
			return Record{}, errors.New("paths: an entry is out of bounds")
		}
	}
	return r, nil
}

// monthOf returns when a month begins, and the next.
func monthOf(month string) (from, end time.Time, err error) {
	from, err = time.Parse("2006-01", month)
	if err != nil || from.Year() < 2000 {
		return time.Time{}, time.Time{}, errors.New("month: must be YYYY-MM")
	}
	return from, from.AddDate(0, 1, 0), nil
}

// monthAfter returns when the month of a time is over.
func monthAfter(t time.Time) time.Time {
	return time.Date(t.UTC().Year(), t.UTC().Month()+1, 1, 0, 0, 0, 0, time.UTC)
}

// day counts days since 1970.
func day(t time.Time) int64 { return t.Unix() / 86_400 }
