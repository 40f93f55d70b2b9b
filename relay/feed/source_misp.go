// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/certlink/certlink/relay/config"
	"github.com/certlink/certlink/relay/misp"
	"github.com/certlink/certlink/relay/remote"
)

// mispOrigin is a MISP feed. The events that have changed are read, the oldest change
// first, and become STIX objects; the cursor moves from event to event.
type mispOrigin struct {
	conf  config.Remote
	opts  remote.Options
	state string
	// unread are the events that the last pull did not get.
	unread misp.Unread
}

// missedError says that a pull came to its end without some events. The others are stored.
type missedError struct {
	events int
	first  error
}

// Error implements error.
func (e *missedError) Error() string {
	return fmt.Sprintf("%d events were not to be had: %v", e.events, e.first)
}

// Unwrap gives the error of the first.
func (e *missedError) Unwrap() error { return e.first }

func (o *mispOrigin) from() string { return hostOf(o.conf) }

func (o *mispOrigin) of() string { return "misp " + o.conf.URL }

func (o *mispOrigin) resume(state string) { o.state = unmark(o.of(), state) }

func (o *mispOrigin) pull(ctx context.Context, in *intake) error {
	client, err := remote.New(o.conf, o.opts)
	if err != nil {
		return err
	}
	defer client.Close()
	feed := misp.NewFeed(client)
	feed.Last = o.unread
	changes, err := feed.Changed(ctx, o.state)
	if err != nil {
		return err
	}
	defer func() { o.unread = changes.Unread() }()
	missed := &missedError{}
	for {
		in.reached(int64(changes.Total()-changes.Left()), int64(changes.Total()))
		event, err := changes.Next(ctx)
		var bad *misp.EventError
		switch {
		case errors.Is(err, io.EOF):
			missed.events = len(changes.Unread()) // also those that were not asked for this time
			if err := o.keep(ctx, in, changes.Cursor()); err != nil || missed.first == nil {
				return err
			}
			return missed
		case errors.As(err, &bad) && bad.Again:
			if missed.first == nil {
				missed.first = err
			}
			continue
		case errors.As(err, &bad):
			in.refuse(ctx, "refused", err)
			continue
		case err != nil:
			return errors.Join(err, o.keep(ctx, in, ""))
		}
		if err := o.event(ctx, in, event); err != nil {
			return err
		}
		if state := changes.Cursor(); state != "" {
			if err := o.keep(ctx, in, state); err != nil {
				return err
			}
		}
	}
}

// event takes in what one event becomes.
func (o *mispOrigin) event(ctx context.Context, in *intake, event *misp.Event) error {
	for object, err := range event.Objects() {
		if err != nil {
			in.refuse(ctx, "refused", err)
			continue
		}
		if err := in.take(ctx, object); err != nil {
			return err
		}
	}
	for why, n := range event.Tally().Lost {
		for range n {
			in.refuse(ctx, "unconverted", fmt.Errorf("a part of event %s: %s", event.UUID, why))
		}
	}
	return nil
}

// keep stores what was taken in, with the state behind it if there is one.
func (o *mispOrigin) keep(ctx context.Context, in *intake, state string) error {
	if state == "" || state == o.state {
		return in.finish(ctx, "")
	}
	if err := in.finish(ctx, marked(o.of(), state)); err != nil {
		return err
	}
	o.state = state
	return nil
}
