// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/certlink/certlink/relay/taxii"
)

const (
	// pageObjects is the number of objects asked for in a page.
	pageObjects = 5000
	// maxPages is the number of pages of one pull, and maxEmpty that of pages in a
	// row without an object. A server that never ends costs this much in an interval.
	maxPages = 10_000
	maxEmpty = 10
	// spareDuplicates is how many objects that are here already a walk may bring beyond twice as many as are stored: one
	// that begins anew brings each once.
	spareDuplicates = 50_000
)

// errRepeats: what a server sends are the same objects without end.
var errRepeats = fmt.Errorf("%w: it sends the same objects again and again, and no end", taxii.ErrNoProgress)

// walk reads a TAXII collection, each time from where it has come to its end.
type walk struct {
	// server and collection say whose cursor it is.
	server, collection string
	cursor             cursor
	location           *taxii.Location
	// skimmed is when what a full import has no room for was last looked through.
	skimmed time.Time
	// again counts the objects that were here already since the walk was last at an end. It outlives pulls: of a
	// server that repeats without end each pull reads one page more.
	again int64
}

// resume begins at a stored cursor.
func (w *walk) resume(stored string) { w.cursor = startAt(stored, w.server, w.collection) }

// pull reads the collection from where the last pull has ended to its end. Where the
// quota ends it, what takes back is looked for in the rest: that may make room.
func (w *walk) pull(ctx context.Context, client *taxii.Client, in *intake) error {
	err := w.read(ctx, client, in)
	now := in.cfg.Now()
	if !errors.Is(err, errQuota) || in.peer == "" || now.Before(w.skimmed.Add(skimEvery)) {
		return err
	}
	if err := w.skim(ctx, client, in); err != nil {
		return err
	}
	w.skimmed = now
	if in.holds() >= in.quota {
		return errQuota
	}
	return w.read(ctx, client, in)
}

// read reads the collection until its end, or the quota.
func (w *walk) read(ctx context.Context, client *taxii.Client, in *intake) error {
	empty := 0
	var trail taxii.Trail
	for range maxPages {
		before := in.duplicates
		got, more, err := w.page(ctx, client, in)
		brought := in.duplicates - before
		w.again += brought
		if err == nil && more {
			err = cmp.Or(trail.Step(w.cursor.query()), w.repeats(in, brought))
		}
		if err == nil && !more {
			w.again = 0
		}
		if err != nil || !more {
			return err
		}
		if empty++; got > 0 {
			empty = 0
		}
		if empty > maxEmpty {
			return taxii.ErrNoProgress
		}
	}
	return nil
}

// repeats is errRepeats when more has come that was here already than a walk can bring, the last page's share included. A
// page that has none of it goes on: the server was mended, and else each pull would read one page of what is new.
func (w *walk) repeats(in *intake, brought int64) error {
	if brought == 0 || w.again <= 2*in.holds()+spareDuplicates {
		return nil
	}
	return errRepeats
}

// page reads and stores one page. It returns how many objects it had, refused
// ones too, and whether there are more pages.
func (w *walk) page(ctx context.Context, client *taxii.Client, in *intake) (got int, more bool, err error) {
	page, err := w.open(ctx, client)
	if err != nil {
		return 0, false, err
	}
	defer page.Close()
	if got, err = in.readAll(ctx, page.Read); err != nil {
		return got, false, err
	}
	behind, more, err := w.cursor.behind(ctx, page)
	if err != nil {
		// What came is kept, the cursor stays.
		return got, false, cmp.Or(in.finish(ctx, ""), err)
	}
	// The last part of the page and the cursor behind it are one transaction. Without
	// news nothing is written.
	text := ""
	if behind != w.cursor {
		text = behind.text()
	}
	if err := in.finish(ctx, text); err != nil {
		return got, false, err
	}
	w.cursor = behind
	return got, more, nil
}

// open asks for the page at the cursor. Where the collection is, is looked up
// once, and again when it is not there any more. A cursor that the server does
// not take any more costs a walk from its beginning; what is stored already is
// a duplicate.
func (w *walk) open(ctx context.Context, client *taxii.Client) (*taxii.Page, error) {
	for attempt := 0; ; attempt++ {
		if w.location == nil {
			l, err := client.Find(ctx, w.collection)
			if err != nil {
				return nil, err
			}
			if !l.CanRead {
				return nil, taxii.Forbidden("the collection is not readable for us")
			}
			w.location = &l
		}
		page, err := client.Objects(ctx, *w.location, w.cursor.query())
		var told *taxii.ProtocolError
		if err == nil || attempt > 1 || !errors.As(err, &told) {
			return page, err
		}
		switch {
		case told.Status == http.StatusNotFound:
			w.location = nil
		case told.Status == http.StatusBadRequest && w.cursor.Next != "":
			w.cursor.Next = ""
		default:
			return nil, err
		}
	}
}
