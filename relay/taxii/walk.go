// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package taxii

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// ErrNoProgress: the server says that there is more, and gives the same again, or no
// way to it.
var ErrNoProgress = errors.New("it says that there is more, but the page does not move on")

const (
	// maxAlike is the largest limit asked for when all objects of a page have the same
	// date added and the server has no cursor; each time it grows by growth.
	maxAlike = 50_000
	growth   = 4
)

// Behind says how to go on behind the page, which was asked for with q and read to
// its end, and whether the server has more now. Without more the result is where to
// look for news later.
//
// A server that gives no cursor is walked by date (TAXII 2.1 section 3.5). Objects
// may share a date, and a page may end among them: the next page begins a microsecond
// before, and what was read already comes once more. The dates are those of the header,
// else of the manifest, never of the objects: these say nothing about when they
// were added.
func (p *Page) Behind(ctx context.Context, q PageQuery) (next PageQuery, more bool, err error) {
	if p.More() && p.Next() != "" {
		if p.Next() == q.Next {
			return q, false, ErrNoProgress
		}
		return PageQuery{AddedAfter: q.AddedAfter, Next: p.Next(), Limit: q.Limit}, true, nil
	}
	next = PageQuery{AddedAfter: q.AddedAfter, Limit: q.Limit}
	last, ok := readDate(p.header.Get("X-TAXII-Date-Added-Last"))
	if !ok && p.last.ID != "" {
		last, ok = p.fromManifest(ctx, q)
	}
	switch {
	case !p.More():
		if ok {
			next.AddedAfter = FormatTime(p.settledBefore(last))
		}
		return next, false, nil
	case !ok:
		return q, false, fmt.Errorf("%w: it gives neither a cursor nor a date", ErrNoProgress)
	}
	return p.byDate(q, last)
}

// What a server adds now may still get the date of what it has added already: dates may
// be as coarse as a second, and an addition that began earlier may end later. lateBy is
// the overlap for that, and settling how long it is kept.
const (
	lateBy   = time.Second
	settling = 10 * time.Minute
)

// settledBefore is where to look for news behind the last record of a collection: a
// little before it as long as more of its date may come, at it from then on. Of our own
// kind of server each record has a later date than all before.
func (p *Page) settledBefore(last time.Time) time.Time {
	now, err := http.ParseTime(p.header.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	early := last.Add(-lateBy)
	if p.location.Markings != "" || now.Sub(last) > settling || early.Year() < 1 {
		return last
	}
	return early
}

// byDate goes on behind a page that ends at a date, with one microsecond of overlap.
// If that is no step the page holds one date alone, and a longer one is asked for.
func (p *Page) byDate(q PageQuery, last time.Time) (PageQuery, bool, error) {
	before, walking := readDate(q.AddedAfter)
	step := last.Add(-time.Microsecond)
	switch {
	case !walking || step.After(before):
		return PageQuery{AddedAfter: FormatTime(step), Limit: q.Limit}, true, nil
	case last.Before(before):
		return q, false, fmt.Errorf("%w: its dates go back", ErrNoProgress)
	case q.Limit == 0 || q.Limit >= maxAlike || p.objects < q.Limit:
		return q, false, fmt.Errorf("%w: many objects have the same date, and it gives no cursor", ErrNoProgress)
	}
	return PageQuery{AddedAfter: q.AddedAfter, Limit: min(q.Limit*growth, maxAlike)}, true, nil
}

// fromManifest asks when the last object of the page was added.
func (p *Page) fromManifest(ctx context.Context, q PageQuery) (time.Time, bool) {
	values := q.values(int(p.client.quirks.filters.Load()))
	a, err := p.client.get(ctx, p.location.path()+"manifest/", values)
	if err != nil {
		return time.Time{}, false
	}
	defer a.stop()
	var m Manifest
	if a.empty || decodeSmall(a.body, &m) != nil {
		return time.Time{}, false
	}
	for _, r := range m.Objects {
		version, known := readDate(r.Version)
		if r.ID == p.last.ID && (p.last.Version.IsZero() || known && version.Truncate(time.Microsecond).Equal(p.last.Version)) {
			return readDate(r.DateAdded)
		}
	}
	return time.Time{}, false
}

// Trail sees when a walk goes in a circle, whatever its length, with one query in
// memory. The zero value is the beginning of a walk.
type Trail struct {
	mark         PageQuery
	steps, until int
}

// Step notes where a walk goes on; ErrNoProgress if it was there before.
func (t *Trail) Step(to PageQuery) error {
	if t.until > 0 && to == t.mark {
		return ErrNoProgress
	}
	if t.steps++; t.steps > t.until {
		t.mark, t.until = to, 2*t.steps
	}
	return nil
}

// dateForms are the forms in which servers write dates, besides RFC 3339: without a
// zone, with a space, and as JavaScript prints them.
var dateForms = []string{
	"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999",
	"Mon Jan 02 2006 15:04:05 GMT-0700", "Mon Jan 2 2006 15:04:05 GMT-0700",
}

// readDate reads a date added, in UTC, to the microsecond.
func readDate(text string) (time.Time, bool) {
	if len(text) > 100 {
		return time.Time{}, false
	}
	text, _, _ = strings.Cut(strings.TrimSpace(text), " (") // the name of the zone
	t, err := parseTime(text)
	for i := 0; err != nil && i < len(dateForms); i++ {
		t, err = time.Parse(dateForms[i], text)
	}
	if err != nil {
		t, err = http.ParseTime(text)
	}
	if err != nil || t.UTC().Year() < 1 || t.UTC().Year() > 9999 {
		return time.Time{}, false
	}
	return t.UTC().Truncate(time.Microsecond), true
}
