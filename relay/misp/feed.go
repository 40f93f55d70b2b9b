// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package misp

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/certlink/certlink/relay/remote"
)

const (
	// maxUnsettled is how many events of a pull may be read again the next time although
	// the manifest does not change.
	maxUnsettled = 100
	// maxDenied is how many events in a row a server may deny, or fail over, before the pull
	// ends: it is the server then, not the event. Those of the last time do not count, for they
	// come in a row, once there is an event that was given.
	maxDenied = 10
	// maxMissing is how many events in a row may be missing below a manifest before the pull ends. Those
	// of the last time do not count.
	maxMissing = 1000
	// maxAgain is how many events of the last time a pull asks for in vain. The others wait for the next
	// pull, which begins with them: each has its turn, and no pull asks for all of very many.
	maxAgain = 100
)

// errSum: the event is not the one that the manifest describes.
var errSum = fmt.Errorf("%w: its SHA-256 is not that of the manifest", ErrFormat)

// Feed reads a MISP feed: the directory with manifest.json.
type Feed struct {
	// Get opens a file of the directory, of maxBytes at most. Required.
	Get func(ctx context.Context, name string, maxBytes int64) (io.ReadCloser, error)
	// Last are events that come after all others, whatever their timestamps: those which the pull
	// before did not get, so that they never stand before what is to be had.
	Last Unread
}

// NewFeed reads the feed at the client's URL, which is that of the directory or of its
// manifest.json.
func NewFeed(c *remote.Client) Feed {
	dir := strings.TrimSuffix(c.Path(), "manifest.json")
	if dir == "" || dir[len(dir)-1] != '/' {
		dir += "/"
	}
	return Feed{Get: func(ctx context.Context, name string, maxBytes int64) (io.ReadCloser, error) {
		resp, err := c.Get(ctx, dir+name, maxBytes, remote.Validators{})
		if err != nil {
			return nil, err
		}
		return resp.Body, nil
	}}
}

// EventError refuses one event of a feed. Those after it can still be read.
type EventError struct {
	// UUID of the event.
	UUID string
	Err  error
	// Again: it is looked at again the next time, although the manifest may not change.
	Again bool
}

// Error implements error.
func (e *EventError) Error() string { return fmt.Sprintf("event %s: %v", e.UUID, e.Err) }

// Unwrap gives the cause.
func (e *EventError) Unwrap() error { return e.Err }

// Changes are the events of a feed that have changed, the oldest change first.
type Changes struct {
	feed  Feed
	todo  []entry
	total int
	known marks
	seen  marks
	now   *entry
	event *Event
	// owed is how many bytes of objects were given since the last cursor.
	owed int64
	// unsettled counts events that are not what the manifest says, as yet.
	unsettled int
	// denied counts events in a row that the server did not give, missing those in a row that are not
	// there, again those of the last time that are still not to be had.
	denied, missing, again int
	// round is the number of this pull in unread.
	round  int64
	unread Unread
}

// Changed reads the manifest and finds what is new since the cursor: "" for a first
// time. A cursor that this package did not make counts as none.
func (f Feed) Changed(ctx context.Context, cursor string) (*Changes, error) {
	entries, err := f.manifest(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading manifest: %w", err)
	}
	c := &Changes{feed: f, known: parseMarks(cursor), seen: marks{}, unread: Unread{}, round: f.Last.rounds() + 1}
	for _, e := range entries {
		if m, ok := c.known[keyOf(e.uuid)]; ok {
			c.seen[keyOf(e.uuid)] = m
			if m.timestamp == e.timestamp {
				continue
			}
		}
		c.todo = append(c.todo, e)
		if round := f.Last[e.uuid]; round != 0 {
			c.unread[e.uuid] = round
		}
	}
	slices.SortFunc(c.todo, func(a, b entry) int {
		return cmp.Or(cmp.Compare(f.Last[a.uuid], f.Last[b.uuid]), cmp.Compare(a.timestamp, b.timestamp), bytes.Compare(a.uuid[:], b.uuid[:]))
	})
	c.total = len(c.todo)
	return c, nil
}

// Unread are the events that were not to be had, for Feed.Last of the next time.
func (c *Changes) Unread() Unread { return c.unread }

// Total is how many events have changed, and Left how many of them are still to be read.
func (c *Changes) Total() int { return c.total }

// Left see Total.
func (c *Changes) Left() int { return len(c.todo) }

// Next opens the next event. io.EOF is the good end; an *EventError refuses one event,
// and Next can be called again; any other error is final, and another time may go better.
func (c *Changes) Next(ctx context.Context) (*Event, error) {
	c.event = nil
	if len(c.todo) > 0 && c.again >= maxAgain && c.last(c.todo[0]) {
		c.todo = nil // they stand last, and stay unread
	}
	if len(c.todo) == 0 {
		return nil, io.EOF
	}
	e := c.todo[0]
	event, err := c.feed.open(ctx, e)
	if err == nil {
		delete(c.unread, e.uuid)
		c.todo, c.now, c.event, c.denied, c.missing = c.todo[1:], &e, event, 0, 0
		c.inherit(event, e)
		return event, nil
	}
	fate := c.fate(e, err)
	c.unread[e.uuid] = c.round
	switch fate {
	case final:
		return nil, fmt.Errorf("event %s: %w", e.uuid, err)
	case wrong:
		// It is looked at again when it has changed.
		c.mark(e, mark{timestamp: e.timestamp})
		delete(c.unread, e.uuid)
	case behind, denied:
		if c.last(e) {
			c.again++
		}
	}
	c.todo = c.todo[1:]
	return nil, &EventError{UUID: e.uuid.String(), Err: err, Again: fate != wrong}
}

// last tells whether the pull before did not get the event.
func (c *Changes) last(e entry) bool { return c.feed.Last[e.uuid] != 0 }

// What becomes of an event that cannot be read.
const (
	final  = iota // the pull ends
	wrong         // it is no event
	behind        // its file is not there yet: the manifest may be ahead of it, or a cache behind
	denied        // the server does not give it
)

// fate says what an error means for the event, and counts what has bounds.
func (c *Changes) fate(e entry, err error) int {
	var told *remote.StatusError
	switch {
	case c.unsettled < maxUnsettled && (errors.Is(err, errSum) || errors.Is(err, ErrFormat) && errors.Is(err, io.ErrUnexpectedEOF)):
		// A cache may give an old file below a new manifest, and a file may be half written.
		c.unsettled++
		return behind
	case errors.Is(err, ErrFormat), errors.Is(err, ErrTooLarge), errors.Is(err, remote.ErrTooLong), errors.Is(err, remote.ErrBomb):
		return wrong
	case !errors.As(err, &told):
		return final
	}
	switch told.Status {
	case http.StatusNotFound, http.StatusGone:
		if c.last(e) {
			return behind
		}
		if c.missing++; c.missing > maxMissing {
			return final
		}
		return behind
	case http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return final // that is about all of them
	}
	if c.last(e) && len(c.seen) > 0 {
		return denied // as the last time, by a server that gives us others
	}
	if c.denied++; c.denied > maxDenied {
		return final
	}
	return denied
}

// open reads an event, and compares it with its checksum in the manifest.
func (f Feed) open(ctx context.Context, e entry) (*Event, error) {
	body, err := f.Get(ctx, e.uuid.String()+".json", MaxEventBytes)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	sum := sha256.New()
	event, err := OpenEvent(io.TeeReader(body, sum))
	if err != nil {
		return nil, err
	}
	switch {
	case event.UUID != e.uuid.String():
		return nil, fmt.Errorf("%w: the file holds the event %s", ErrFormat, event.UUID)
	case e.sum != [sha256.Size]byte{} && !bytes.Equal(sum.Sum(nil), e.sum[:]):
		return nil, errSum
	}
	return event, nil
}

// inherit finds out since when what all parts of an event share is as it is: a marking
// that changed makes new versions of them all, one that did not makes none.
func (c *Changes) inherit(event *Event, e entry) {
	m := mark{timestamp: e.timestamp, context: event.context()}
	if before, ok := c.known[keyOf(e.uuid)]; ok && before.context != "" {
		m.since = before.since
		if before.context != m.context {
			m.since = uint32(min(event.Timestamp.Unix(), 1<<32-1))
		}
	}
	event.since = m.sinceTime()
	c.mark(e, m)
}

func (c *Changes) mark(e entry, m mark) { c.seen[keyOf(e.uuid)] = m }

// averageObject is what an object has in bytes, more or less.
const averageObject = 500

// Cursor is the cursor behind the event that Next returned last, for the caller to store
// with the last of its objects. It is "" while it is longer than what would be saved by
// it: without it a restart reads a few events again, whose objects are there already.
func (c *Changes) Cursor() string {
	if c.event != nil {
		c.owed += max(1, c.event.tally.Objects) * averageObject
	}
	if len(c.todo) > 0 && int64(len(c.seen)*markBytes) > max(c.owed, 32<<10) {
		return ""
	}
	c.owed = 0
	return c.seen.text()
}
