// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package linecheck

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/certlink/certlink/relay/receipt"
	"github.com/certlink/certlink/relay/store"
)

const (
	// kindAvailability is the kind of the records of months in the store.
	kindAvailability = "availability"
	// The parts of a record: what each side signed, and what the other says of it.
	partOurs          = "ours"
	partOursCounter   = "ours-countersigned"
	partTheirs        = "theirs"
	partTheirsCounter = "theirs-countersigned"

	// detail is how long after its end a day is summed up; until then each check is kept.
	// keepDays is how long the sums are.
	detail   = 6 * time.Hour
	keepDays = 1100
	// settle is how long a check may be under way: twice, as it is repeated once.
	settle = 2 * checkTimeout
	// finalAfter is how long after the last time at which a check of a month may begin its
	// record is made, and then for good: settle, and as much as two clocks may be apart.
	finalAfter = settle + checkTimeout
	// retryRecord is the pause after an exchange that failed, keepEvery that between two
	// looks at what is to be kept.
	retryRecord = 5 * time.Minute
	keepEvery   = time.Hour
	// lookBack is how many past months are made up for after a time without the peer, maxRefused
	// how many exchanges of a look may fail before the others wait for the next one.
	lookBack   = 24
	maxRefused = 3
)

// statement is a signed statement of ours or of the peer, verified when it was stored.
type statement struct {
	payload []byte
	signed  []byte
	final   bool
}

// view sums up a month until a time, as we saw it.
func (l *line) view(ctx context.Context, month string, until time.Time) (Record, error) {
	from, _, err := monthOf(month)
	if err != nil {
		return Record{}, err
	}
	kept, err := l.sums(ctx, day(from), day(until.Add(-time.Microsecond))+1)
	if err != nil {
		return Record{}, err
	}
	var whole sum
	for at := from; at.Before(until); at = at.AddDate(0, 0, 1) {
		end := at.AddDate(0, 0, 1)
		if end.After(until) {
			end = until
		}
		one := sumAfter(kept[day(at)])
		if err := l.each(ctx, at, end, one.add); err != nil {
			return Record{}, err
		}
		whole.merge(one.whole())
	}
	traffic, err := l.engine.cfg.Store.CountTraffic(ctx, l.trustDomain, from, until)
	if err != nil {
		return Record{}, err
	}
	return recordOf(l.engine.cfg.Identity().TrustDomain(), l.trustDomain, month, from, until, whole, traffic), nil
}

// part reads one part of a record; its payload is nil when there is none.
func (l *line) part(ctx context.Context, month, part string) (statement, error) {
	r, err := l.engine.cfg.Store.GetLineRecord(ctx, l.trustDomain, kindAvailability, month, part)
	if errors.Is(err, store.ErrNotFound) {
		return statement{}, nil
	}
	if err != nil {
		return statement{}, err
	}
	payload, err := receipt.Content(r.Content)
	return statement{payload: payload, signed: r.Content, final: r.Final}, err
}

// put stores a part of a record with its act. It is repeatable; the first final one stays, also
// when the same is signed anew.
func (l *line) put(ctx context.Context, month, part string, s statement) error {
	if stored, err := l.part(ctx, month, part); err != nil || stored.final && bytes.Equal(stored.payload, s.payload) {
		return err
	}
	return l.engine.cfg.Change(ctx, l.trustDomain, func(tx store.LineTx) (*store.JournalEntry, error) {
		err := tx.PutLineRecord(store.LineRecord{Kind: kindAvailability, Name: month, Part: part, Content: s.signed, Final: s.final})
		if err != nil {
			return nil, err
		}
		return l.engine.cfg.Act("AVAILABILITY_RECORDED", l.engine.cfg.Now(), map[string]string{
			"month": month, "part": part, "sha256": digest(s.payload),
		})
	})
}

// sign makes a statement of ours.
func (l *line) sign(typ string, content any, final bool) (s statement, err error) {
	if s.payload, err = json.Marshal(content, json.Deterministic(true)); err != nil {
		return statement{}, err
	}
	s.signed, err = receipt.Sign(l.engine.cfg.Identity(), typ, s.payload)
	s.final = final
	return s, err
}

// leaving is a statement of ours as it goes to the peer: signed by our present certificate, which
// gives the same bytes as long as that is the one that signed it first. A statement may wait for
// the peer until that one has ended, and the peer would have to refuse it from then on.
func (l *line) leaving(typ string, s statement) ([]byte, error) {
	return receipt.Sign(l.engine.cfg.Identity(), typ, s.payload)
}

// ours returns our own signed record until a time: the one that is stored, of a month that
// is over, else a new one, which it stores.
func (l *line) ours(ctx context.Context, month string, until time.Time, final bool) (statement, Record, error) {
	stored, err := l.part(ctx, month, partOurs)
	if err != nil {
		return statement{}, Record{}, err
	}
	if stored.final {
		r, err := decodeRecord(stored.payload)
		return stored, r, err
	}
	r, err := l.view(ctx, month, until)
	if err != nil {
		return statement{}, Record{}, err
	}
	s, err := l.sign(TypeRecord, r, final)
	if err != nil {
		return statement{}, Record{}, err
	}
	return s, r, l.put(ctx, month, partOurs, s)
}

// countersign says what we think of their record, and stores both.
func (l *line) countersign(ctx context.Context, theirs statement, record, our Record) (statement, error) {
	stored, err := l.part(ctx, record.Month, partTheirsCounter)
	if err != nil {
		return statement{}, err
	}
	var said Countersignature
	if stored.payload != nil && json.Unmarshal(stored.payload, &said) == nil && said.RecordSHA256 == digest(theirs.payload) {
		return stored, nil
	}
	if our.Messages, err = l.withLate(ctx, our); err != nil {
		return statement{}, err
	}
	differences := compare(record, our)
	s, err := l.sign(TypeCountersignature, Countersignature{
		Version: Version, Month: record.Month, RecordSHA256: digest(theirs.payload), By: our.By, Of: record.By,
		At: l.engine.cfg.Now().UTC().Truncate(time.Second), Agreed: len(differences) == 0, Differences: differences,
	}, theirs.final)
	if err != nil {
		return statement{}, err
	}
	name, _ := l.settings()
	l.engine.metrics.record(name, map[bool]string{true: "agreed", false: "disagreed"}[len(differences) == 0])
	if err := l.put(ctx, record.Month, partTheirs, theirs); err != nil {
		return statement{}, err
	}
	return s, l.put(ctx, record.Month, partTheirsCounter, s)
}

// withLate counts, for a comparison, also the messages of ours whose receipts came after our record
// was made: the line was cut, and the peer has counted them.
func (l *line) withLate(ctx context.Context, our Record) (Messages, error) {
	now, err := l.engine.cfg.Store.CountTraffic(ctx, l.trustDomain, our.From, our.Until)
	m := our.Messages
	// What is deleted since by its retention was counted then.
	m.Sent, m.ExerciseSent = max(m.Sent, now.Sent), max(m.ExerciseSent, now.ExerciseSent)
	return m, err
}

// keep sums up old days, and makes the records of months that are over. It runs under the
// lease; what fails is tried again later.
func (l *line) keep(ctx context.Context) {
	now := l.engine.cfg.Now().UTC()
	l.mu.Lock()
	due := l.keptAt.IsZero() || now.Sub(l.keptAt) >= keepEvery || now.Before(l.keptAt)
	record := !l.recordAt.After(now) || l.recordAt.Sub(now) > keepEvery
	if due {
		l.keptAt = now
	}
	l.mu.Unlock()
	if due {
		if err := l.sumUpDays(ctx, now); err != nil && ctx.Err() == nil {
			l.engine.cfg.Log.ErrorContext(ctx, "summing up line checks", "peer", l.trustDomain, "error", err)
		}
	}
	if record {
		l.makeRecords(ctx, now)
	}
}

// makeRecords exchanges the records of past months that are not countersigned by both.
func (l *line) makeRecords(ctx context.Context, now time.Time) {
	next := now.Add(keepEvery)
	this := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	for back, refused := 1, 0; back <= lookBack && refused < maxRefused; back++ {
		from := this.AddDate(0, -back, 0)
		if final := finalAt(from.AddDate(0, 1, 0)); now.Before(final) {
			if final.Before(next) {
				next = final
			}
			continue
		}
		month := from.Format("2006-01")
		missing, err := l.missing(ctx, month, from)
		if err == nil && missing {
			err = l.exchangeRecords(ctx, month, now)
		}
		if err != nil && ctx.Err() == nil {
			next = now.Add(retryRecord)
			refused++
			name, _ := l.settings()
			l.engine.metrics.record(name, "failed")
			l.engine.cfg.Log.WarnContext(ctx, "availability record not exchanged, it is tried again", "peer", l.trustDomain, "month", month, "error", clip(err.Error()))
		}
	}
	l.mu.Lock()
	l.recordAt = next
	l.mu.Unlock()
}

// missing tells whether a month has checks, but is not countersigned by both.
func (l *line) missing(ctx context.Context, month string, from time.Time) (bool, error) {
	whole := true
	for _, part := range []string{partOursCounter, partTheirsCounter} {
		s, err := l.part(ctx, month, part)
		if err != nil {
			return false, err
		}
		whole = whole && s.final
	}
	if whole {
		return false, nil
	}
	days, err := l.engine.cfg.Store.LineCheckDays(ctx, l.trustDomain, day(from), day(from.AddDate(0, 1, 0)))
	if err != nil || len(days) > 0 {
		return err == nil, err
	}
	some, err := l.engine.cfg.Store.ListLineChecks(ctx, l.trustDomain, store.LineCheckQuery{From: from, To: from.AddDate(0, 1, 0), Limit: 1})
	return len(some) > 0, err
}
