// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"testing"

	"github.com/certlink/certlink/relay/remote"
	"github.com/certlink/certlink/relay/stix"
)

// TestAnEventThatIsDeniedForEverStandsInNobodysWay: the oldest change comes first, so it would be
// the first of every pull.
func TestAnEventThatIsDeniedForEverStandsInNobodysWay(t *testing.T) {
	for _, status := range []int{http.StatusForbidden, http.StatusInternalServerError, http.StatusUnavailableForLegalReasons} {
		all := files{
			"manifest.json":     manifestOf(entryText(1, 1767400010, ""), entryText(2, 1767400020, "")),
			uuidOf(2) + ".json": eventText(2, 1767400020, plain),
		}
		f := all.feed()
		give := f.Get
		f.Get = func(ctx context.Context, name string, most int64) (io.ReadCloser, error) {
			if name == uuidOf(1)+".json" {
				return nil, &remote.StatusError{Status: status}
			}
			return give(ctx, name, most)
		}
		got, cursor, c := pulled(t, f, "")
		if got[uuidOf(2)] == nil || len(c.Unread()) != 1 {
			t.Errorf("%d: %d events, %d are unread", status, len(got), len(c.Unread()))
		}
		// It is looked at each time, and read when it is given.
		all[uuidOf(1)+".json"] = eventText(1, 1767400010, plain)
		if again, _, _ := pulled(t, all.feed(), cursor); again[uuidOf(1)] == nil || len(again) != 1 {
			t.Errorf("%d: %d events when it is given", status, len(again))
		}
	}
}

func TestAServerThatDeniesAllEventsEndsThePullAndTheNextBeginsWithOthers(t *testing.T) {
	f, entries, asked := files{}, []string(nil), map[string]bool{}
	for n := range 3 * maxDenied {
		entries = append(entries, entryText(n, n+1, ""))
	}
	f["manifest.json"] = manifestOf(append(entries, entryText(99, 99, ""))...)
	f[uuidOf(99)+".json"] = eventText(99, 99, plain)
	feed := f.feed()
	give := feed.Get
	feed.Get = func(ctx context.Context, name string, most int64) (io.ReadCloser, error) {
		asked[name] = true
		if f[name] == "" {
			return nil, &remote.StatusError{Status: http.StatusForbidden}
		}
		return give(ctx, name, most)
	}
	for pull := 1; !asked[uuidOf(99)+".json"]; pull++ {
		c, err := feed.Changed(t.Context(), "")
		for err == nil {
			if _, err = c.Next(t.Context()); errors.As(err, new(*EventError)) {
				err = nil
			}
		}
		told, given := new(remote.StatusError), asked[uuidOf(99)+".json"]
		if refused := errors.As(err, &told) && told.Status == http.StatusForbidden; refused == given || given && !errors.Is(err, io.EOF) || pull > 5 {
			t.Fatalf("pull %d ends with %v", pull, err)
		}
		feed.Last = c.Unread()
	}
}

// TestHoweverManyEventsAreDeniedForEverAPullEndsWell: they come last then, all in a row, and a
// pull that failed over them would be made again every minute.
func TestHoweverManyEventsAreDeniedForEverAPullEndsWell(t *testing.T) {
	f, entries := files{}, []string(nil)
	for n := range 3 * maxDenied {
		entries = append(entries, entryText(2*n, 2*n+1, ""), entryText(2*n+1, 2*n+2, ""))
		f[uuidOf(2*n+1)+".json"] = eventText(2*n+1, 2*n+2, plain)
	}
	f["manifest.json"] = manifestOf(entries...)
	feed, cursor := f.feed(), ""
	give := feed.Get
	feed.Get = func(ctx context.Context, name string, most int64) (io.ReadCloser, error) {
		if f[name] == "" {
			return nil, &remote.StatusError{Status: http.StatusForbidden}
		}
		return give(ctx, name, most)
	}
	for pull := range 3 {
		got, next, c := pulled(t, feed, cursor)
		maps.DeleteFunc(got, func(_ string, objects []stix.Object) bool { return objects == nil })
		if want := 3 * maxDenied; len(c.Unread()) != want || pull == 0 && len(got) != want || pull > 0 && len(got) != 0 {
			t.Errorf("pull %d: %d events, %d are unread", pull, len(got), len(c.Unread()))
		}
		feed.Last, cursor = c.Unread(), next
	}
	cutOff := feed
	cutOff.Get = func(ctx context.Context, name string, most int64) (io.ReadCloser, error) {
		if name != "manifest.json" {
			return nil, &remote.StatusError{Status: http.StatusForbidden}
		}
		return give(ctx, name, most)
	}
	cutOff.Last = Unread{}
	c, err := cutOff.Changed(t.Context(), "")
	for n := 0; err == nil || errors.As(err, new(*EventError)); n++ {
		if _, err = c.Next(t.Context()); n > maxDenied {
			t.Fatal("a server that denies all is asked on")
		}
	}
}

// missing is a feed whose manifest names events that are not there, up to the given number, and then
// one that is. It counts what is asked for.
func missing(events int) (feed Feed, all files, asked map[string]int) {
	all, asked = files{}, map[string]int{}
	var entries []string
	for n := range events {
		entries = append(entries, entryText(n, n+1, ""))
	}
	all["manifest.json"] = manifestOf(append(entries, entryText(events, events+1, ""))...)
	all[uuidOf(events)+".json"] = eventText(events, events+1, plain)
	feed = all.feed()
	give := feed.Get
	feed.Get = func(ctx context.Context, name string, most int64) (io.ReadCloser, error) {
		if name != "manifest.json" {
			asked[name]++
		}
		return give(ctx, name, most)
	}
	return feed, all, asked
}

// TestEventsThatAreNotThereAreAskedForInTurnsOfBoundedLength: a manifest may name a million.
func TestEventsThatAreNotThereAreAskedForInTurnsOfBoundedLength(t *testing.T) {
	const events = maxAgain*3 + maxAgain/2
	feed, _, asked := missing(events)
	_, cursor, c := pulled(t, feed, "")
	if len(asked) != events+1 || len(c.Unread()) != events {
		t.Fatalf("first, %d are asked for, %d are unread", len(asked), len(c.Unread()))
	}
	for turn := range 4 {
		before := maps.Clone(asked)
		feed.Last = c.Unread()
		_, cursor, c = pulled(t, feed, cursor)
		maps.DeleteFunc(before, func(name string, n int) bool { return asked[name] == n })
		if len(before) != maxAgain || len(c.Unread()) != events {
			t.Errorf("in turn %d %d are asked for, %d are unread", turn, len(before), len(c.Unread()))
		}
	}
	for name, n := range asked {
		if name != uuidOf(events)+".json" && n < 2 {
			t.Errorf("four turns have not asked for %s", name)
		}
	}
}

func TestAServerThatHasThousandsOfEventsNoMoreEndsThePullAndTheNextGoesOn(t *testing.T) {
	feed, _, asked := missing(2*maxMissing + 5)
	for pull := 1; pull <= 3; pull++ {
		before := len(asked)
		c, err := feed.Changed(t.Context(), "")
		for err == nil || errors.As(err, new(*EventError)) {
			_, err = c.Next(t.Context())
		}
		told := new(remote.StatusError)
		if last := pull == 3; errors.As(err, &told) == last || errors.Is(err, io.EOF) != last {
			t.Fatalf("pull %d ends with %v", pull, err)
		}
		if n := len(asked) - before; n > maxMissing+1 || n == 0 {
			t.Errorf("pull %d asks for %d", pull, n)
		}
		feed.Last = c.Unread()
	}
}

func TestAllThatWasMissingIsReadAtOnceWhenItIsThere(t *testing.T) {
	const events = maxAgain * 2
	feed, all, _ := missing(events)
	_, cursor, c := pulled(t, feed, "")
	for n := range events {
		all[uuidOf(n)+".json"] = eventText(n, n+1, plain)
	}
	feed.Last = c.Unread()
	if got, _, c := pulled(t, feed, cursor); len(got) != events || len(c.Unread()) != 0 {
		t.Errorf("%d are read, %d are not", len(got), len(c.Unread()))
	}
}
