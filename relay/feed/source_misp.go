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
}

func (o *mispOrigin) from() string { return hostOf(o.conf) }

func (o *mispOrigin) of() string { return "misp " + o.conf.URL }

func (o *mispOrigin) resume(state string) { o.state = unmark(o.of(), state) }

func (o *mispOrigin) pull(ctx context.Context, in *intake) error {
	client, err := remote.New(o.conf, o.opts)
	if err != nil {
		return err
	}
	defer client.Close()
	changes, err := misp.NewFeed(client).Changed(ctx, o.state)
	if err != nil {
		return err
	}
	for {
		in.reached(int64(changes.Total()-changes.Left()), int64(changes.Total()))
		event, err := changes.Next(ctx)
		var bad *misp.EventError
		switch {
		case errors.Is(err, io.EOF):
			return o.keep(ctx, in, changes.Cursor())
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
